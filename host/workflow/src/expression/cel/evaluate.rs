//! What an expression gives.

use std::rc::Rc;

use super::{Expr, Literal, Loop, LoopKind, Operator};
use crate::expression::meter::{self, Held};
use crate::expression::value::{Array, Kind, Object};

pub struct Evaluation<'a> {
    pub input: Kind,
    /// The innermost last.
    pub variables: Vec<(&'a str, Kind)>,
}

type Evaluated = Result<Kind, String>;

impl<'a> Evaluation<'a> {
    pub fn evaluate(&mut self, expression: &'a Expr) -> Evaluated {
        // A step, and a look at the stack.
        let _here = Held::new();
        match expression {
            Expr::Literal(literal) => Ok(literal.value()),
            Expr::Input => Ok(self.input.clone()),
            Expr::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone()).ok_or_else(|| format!("variable `{name}` is not known here"))
            }
            Expr::Member { of, name, lenient } => {
                let of = self.evaluate(of)?;
                match (&of, lenient) {
                    (Kind::Object(object), _) if object.members().contains_key(name.as_str()) => {
                        Ok(object.members()[name.as_str()].clone())
                    }
                    (Kind::Object(_) | Kind::Null, true) => Ok(Kind::Null),
                    (Kind::Object(_), false) => Err(format!("no such key: `{name}`")),
                    _ => Err(format!("cannot take `{name}` of {} ({of})", of.type_name())),
                }
            }
            Expr::Index { of, index } => self.index(of, index),
            Expr::Not(inner) => match self.evaluate(inner)? {
                Kind::Bool(flag) => Ok(Kind::Bool(!flag)),
                other => Err(format!("`!` wants true or false, not {} ({other})", other.type_name())),
            },
            Expr::Negative(inner) => match self.evaluate(inner)? {
                Kind::Int(number) => number.checked_neg().map(Kind::Int).ok_or_else(overflow),
                Kind::Float(number) => Ok(Kind::Float(-number)),
                other => Err(format!("{} ({other}) cannot be negated", other.type_name())),
            },
            Expr::Binary { left, operator: Operator::Or, right } => self.either(left, right, true),
            Expr::Binary { left, operator: Operator::And, right } => self.either(left, right, false),
            Expr::Binary { left, operator, right } => {
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                binary(left, *operator, right)
            }
            Expr::If { condition, then, otherwise } => match self.condition(condition)? {
                true => self.evaluate(then),
                false => self.evaluate(otherwise),
            },
            Expr::List(items) => {
                let mut list = Array::with_room(0);
                for item in items {
                    list.push(self.evaluate(item)?);
                }
                Ok(Kind::Array(Rc::new(list)))
            }
            Expr::Map(members) => {
                let mut object = Object::new();
                for (key, member) in members {
                    let key = match self.evaluate(key)? {
                        Kind::Text(key) => key.as_str().to_owned(),
                        other => return Err(format!("the key of a map must be text here, not {}", other.type_name())),
                    };
                    object.insert(key.into(), self.evaluate(member)?);
                }
                Ok(Kind::Object(Rc::new(object)))
            }
            Expr::Call { function, arguments } => {
                let arguments =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect::<Result<Vec<_>, _>>()?;
                (function.run)(&arguments).map_err(|why| format!("`{}`: {why}", function.name))
            }
            Expr::Has { of, name } => match self.evaluate(of)? {
                Kind::Object(object) => Ok(Kind::Bool(object.members().contains_key(name.as_str()))),
                Kind::Null => Ok(Kind::Bool(false)),
                other => Err(format!("`has` looks into a map, not {}", other.type_name())),
            },
            Expr::Loop(every) => self.every(every),
        }
    }

    fn condition(&mut self, expression: &'a Expr) -> Result<bool, String> {
        match self.evaluate(expression)? {
            Kind::Bool(flag) => Ok(flag),
            other => Err(format!("a condition is true or false, not {} ({other})", other.type_name())),
        }
    }

    /// `||` and `&&`: one side can decide alone, even where the other fails.
    fn either(&mut self, left: &'a Expr, right: &'a Expr, decides: bool) -> Evaluated {
        match self.condition(left) {
            Ok(flag) if flag == decides => Ok(Kind::Bool(decides)),
            Ok(_) => self.condition(right).map(Kind::Bool),
            Err(error) => match self.condition(right) {
                Ok(flag) if flag == decides => Ok(Kind::Bool(decides)),
                Ok(_) | Err(_) => Err(error),
            },
        }
    }

    fn index(&mut self, of: &'a Expr, index: &'a Expr) -> Evaluated {
        let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
        match (&of, &index) {
            (Kind::Object(object), Kind::Text(key)) => {
                object.members().get(key.as_str()).cloned().ok_or_else(|| format!("no such key: {index}"))
            }
            (Kind::Array(array), Kind::Int(at)) => {
                let item = usize::try_from(*at).ok().and_then(|at| array.items().get(at));
                item.cloned().ok_or_else(|| format!("index {at} is out of range"))
            }
            _ => Err(format!("cannot index {} with {} ({index})", of.type_name(), index.type_name())),
        }
    }

    fn every(&mut self, every: &'a Loop) -> Evaluated {
        let over = self.evaluate(&every.over)?;
        let items: Vec<Kind> = match &over {
            Kind::Array(array) => {
                meter::steps(array.items().len());
                array.items().to_vec()
            }
            Kind::Object(object) => object.members().keys().map(|key| Kind::text(&**key)).collect(),
            other => return Err(format!("cannot go over {} ({other})", other.type_name())),
        };
        let mut found = Array::with_room(0);
        let mut count = 0;
        let mut failed = None;
        for item in items {
            self.variables.push((&every.variable, item.clone()));
            let holds = every.condition.as_ref().map_or(Ok(true), |condition| self.condition(condition));
            let taken = match (&holds, &every.body) {
                (Ok(true), Some(body)) => Some(self.evaluate(body)),
                _ => None,
            };
            self.variables.pop();
            match (every.kind, holds) {
                (LoopKind::All, Ok(false)) => return Ok(Kind::Bool(false)),
                (LoopKind::Exists, Ok(true)) => return Ok(Kind::Bool(true)),
                (LoopKind::All | LoopKind::Exists, Err(error)) => failed = Some(error),
                (LoopKind::All | LoopKind::Exists, Ok(_)) => {}
                (_, Err(error)) => return Err(error),
                (LoopKind::ExistsOne, Ok(holds)) => count += usize::from(holds),
                (LoopKind::Filter, Ok(true)) => found.push(item),
                (LoopKind::Map, Ok(true)) => found.push(taken.unwrap_or(Ok(Kind::Null))?),
                (LoopKind::Filter | LoopKind::Map, Ok(false)) => {}
            }
        }
        match (every.kind, failed) {
            (_, Some(error)) => Err(error),
            (LoopKind::All, None) => Ok(Kind::Bool(true)),
            (LoopKind::Exists, None) => Ok(Kind::Bool(false)),
            (LoopKind::ExistsOne, None) => Ok(Kind::Bool(count == 1)),
            (LoopKind::Map | LoopKind::Filter, None) => Ok(Kind::Array(Rc::new(found))),
        }
    }
}

impl Literal {
    fn value(&self) -> Kind {
        match self {
            Literal::Null => Kind::Null,
            Literal::Bool(flag) => Kind::Bool(*flag),
            Literal::Int(number) => Kind::Int(*number),
            Literal::Uint(number) => Kind::integer(i128::from(*number)),
            Literal::Double(number) => Kind::Float(*number),
            Literal::Text(text) => Kind::text(text.as_str()),
        }
    }
}

fn overflow() -> String {
    "a whole number is too large".to_owned()
}

fn binary(left: Kind, operator: Operator, right: Kind) -> Evaluated {
    let is_comparable = left.type_name() == right.type_name() && !matches!(left, Kind::Array(_) | Kind::Object(_));
    let compared = |holds: fn(std::cmp::Ordering) -> bool| match is_comparable {
        // `nan` is neither less nor greater.
        true if [&left, &right].iter().any(|kind| kind.as_f64().is_some_and(f64::is_nan)) => Ok(Kind::Bool(false)),
        true => Ok(Kind::Bool(holds(left.cmp(&right)))),
        false => Err(format!("cannot compare {} ({left}) with {} ({right})", left.type_name(), right.type_name())),
    };
    match operator {
        Operator::Equal => Ok(Kind::Bool(left == right)),
        Operator::NotEqual => Ok(Kind::Bool(left != right)),
        Operator::Less => compared(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => compared(std::cmp::Ordering::is_le),
        Operator::Greater => compared(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => compared(std::cmp::Ordering::is_ge),
        Operator::In => match (&left, &right) {
            (_, Kind::Array(array)) => Ok(Kind::Bool(array.items().contains(&left))),
            (Kind::Text(key), Kind::Object(object)) => Ok(Kind::Bool(object.members().contains_key(key.as_str()))),
            _ => Err(format!("`in` looks into a list or a map, not {}", right.type_name())),
        },
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            arithmetic(left, operator, right)
        }
        Operator::Or | Operator::And => Err("a condition is true or false".to_owned()),
    }
}

fn arithmetic(left: Kind, operator: Operator, right: Kind) -> Evaluated {
    if let (Some(a), Some(b)) = (left.as_integer(), right.as_integer()) {
        let number = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::Divide | Operator::Remainder if b == 0 => {
                return Err(format!("{left} cannot be divided by zero"));
            }
            Operator::Divide => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        return number.and_then(|number| i64::try_from(number).ok()).map(Kind::Int).ok_or_else(overflow);
    }
    match (left, right) {
        (Kind::Float(a), Kind::Float(b)) if operator != Operator::Remainder => Ok(Kind::Float(match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            _ => a / b,
        })),
        (Kind::Text(mut a), Kind::Text(b)) if operator == Operator::Add => {
            Rc::make_mut(&mut a).push(b.as_str());
            Ok(Kind::Text(a))
        }
        (Kind::Array(mut a), Kind::Array(b)) if operator == Operator::Add => {
            let own = Rc::make_mut(&mut a);
            b.items().iter().for_each(|item| own.push(item.clone()));
            Ok(Kind::Array(a))
        }
        (left, right) => Err(format!(
            "no arithmetic with {} ({left}) and {} ({right}): convert one with `int`, `double` or `string`",
            left.type_name(),
            right.type_name()
        )),
    }
}
