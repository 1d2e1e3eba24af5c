//! From text to tree, one function for each strength of operators.

use std::collections::BTreeSet;

use super::functions::{self, Function};
use super::tokens::{Token, tokens};
use super::{Expr, Literal, Loop, LoopKind, Operator};

/// Deepest nesting of brackets and operators.
const NESTING_MAX: usize = 60;

/// Longest chain of operators or members; the tree is as deep.
const CHAIN_MAX: usize = 150;

/// Words that name nothing.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];

/// The tree, and the names that it does not bind itself.
pub fn parse(source: &str) -> Result<(Expr, BTreeSet<String>), String> {
    let mut parser =
        Parser { tokens: tokens(source)?, next: 0, bound: Vec::new(), free: BTreeSet::new(), nesting: 0, chain: 0 };
    let root = parser.expression()?;
    match parser.tokens.get(parser.next) {
        None => Ok((root, parser.free)),
        Some(_) => Err(parser.unexpected("its end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// Variables of the loops around here.
    bound: Vec<String>,
    free: BTreeSet<String>,
    nesting: usize,
    chain: usize,
}

type Parsed = Result<Expr, String>;

impl Parser {
    fn sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.tokens.get(self.next), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        let found = match self.tokens.get(self.next) {
            None => "its end".to_owned(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
            Some(Token::Int(number)) => format!("`{number}`"),
            Some(Token::Uint(number)) => format!("`{number}u`"),
            Some(Token::Double(number)) => format!("`{number}`"),
            Some(Token::Text(text)) => format!("the text `{}`", super::super::excerpt(text, 40)),
        };
        format!("expected {wanted}, found {found}")
    }

    /// One more operator of a chain: the tree goes deeper by it.
    fn longer(&mut self) -> Result<(), String> {
        self.chain += 1;
        if self.chain > CHAIN_MAX { Err(format!("it has more than {CHAIN_MAX} operators")) } else { Ok(()) }
    }

    fn expression(&mut self) -> Parsed {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(format!("it is nested deeper than {NESTING_MAX}"));
        }
        let condition = self.binary(0)?;
        let whole = match self.sign("?") {
            false => condition,
            true => {
                let then = self.binary(0)?;
                self.expect(":")?;
                let otherwise = self.expression()?;
                Expr::If { condition: condition.into(), then: then.into(), otherwise: otherwise.into() }
            }
        };
        self.nesting -= 1;
        Ok(whole)
    }

    fn binary(&mut self, level: usize) -> Parsed {
        const LEVELS: &[&[(&str, Operator)]] = &[
            &[("||", Operator::Or)],
            &[("&&", Operator::And)],
            &[
                ("==", Operator::Equal),
                ("!=", Operator::NotEqual),
                ("<=", Operator::LessOrEqual),
                (">=", Operator::GreaterOrEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ],
            &[("+", Operator::Add), ("-", Operator::Subtract)],
            &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
        ];
        const RELATIONS: usize = 2;
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let is_in = level == RELATIONS && self.tokens.get(self.next) == Some(&Token::Name("in".to_owned()));
            let operator = match is_in {
                true => {
                    self.next += 1;
                    Some(Operator::In)
                }
                false => operators.iter().find(|(sign, _)| self.sign(sign)).map(|(_, operator)| *operator),
            };
            let Some(operator) = operator else { return Ok(left) };
            self.longer()?;
            let right = self.binary(level + 1)?;
            left = Expr::Binary { left: left.into(), operator, right: right.into() };
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.sign("!") {
            self.longer()?;
            return Ok(Expr::Not(self.unary()?.into()));
        }
        if self.sign("-") {
            self.longer()?;
            if self.tokens.get(self.next) == Some(&Token::Uint(1 << 63)) {
                self.next += 1;
                return Ok(Expr::Literal(Literal::Int(i64::MIN)));
            }
            return Ok(Expr::Negative(self.unary()?.into()));
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let mut lenient = self.tokens.get(self.next) == Some(&Token::Sign("."));
        let mut of = self.primary()?;
        loop {
            if self.sign(".") {
                self.longer()?;
                let name = self.name()?;
                of = match self.sign("(") {
                    true => self.method(of, &name)?,
                    false => Expr::Member { of: of.into(), name, lenient },
                };
            } else if self.sign("[") {
                self.longer()?;
                let index = self.expression()?;
                self.expect("]")?;
                of = Expr::Index { of: of.into(), index: index.into() };
                lenient = false;
            } else {
                return Ok(of);
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.tokens.get(self.next) {
            Some(Token::Name(name)) => {
                self.next += 1;
                Ok(name.clone())
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn primary(&mut self) -> Parsed {
        let Some(token) = self.tokens.get(self.next).cloned() else { return Err(self.unexpected("a value")) };
        self.next += 1;
        match token {
            Token::Int(number) => Ok(Expr::Literal(Literal::Int(number))),
            Token::Uint(number) => Ok(Expr::Literal(Literal::Uint(number))),
            Token::Double(number) => Ok(Expr::Literal(Literal::Double(number))),
            Token::Text(text) => Ok(Expr::Literal(Literal::Text(text))),
            Token::Name(name) => self.named(name),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => Ok(Expr::List(self.list("]")?)),
            Token::Sign("{") => self.map(),
            Token::Sign(".") => match self.tokens.get(self.next) {
                Some(Token::Name(_)) => {
                    let name = self.name()?;
                    Ok(Expr::Member { of: Expr::Input.into(), name, lenient: true })
                }
                _ => Ok(Expr::Input),
            },
            Token::Sign(_) => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn named(&mut self, name: String) -> Parsed {
        match name.as_str() {
            "true" => return Ok(Expr::Literal(Literal::Bool(true))),
            "false" => return Ok(Expr::Literal(Literal::Bool(false))),
            "null" => return Ok(Expr::Literal(Literal::Null)),
            reserved if RESERVED.contains(&reserved) => return Err(format!("`{reserved}` is a word of the language")),
            _ => {}
        }
        if self.sign("(") {
            let arguments = self.list(")")?;
            return match (name.as_str(), arguments) {
                ("has", arguments) => has(arguments),
                (_, arguments) => call(&name, arguments, false),
            };
        }
        if !self.bound.contains(&name) {
            self.free.insert(name.clone());
        }
        Ok(Expr::Variable(name))
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expr>, String> {
        let mut items = Vec::new();
        while !self.sign(end) {
            items.push(self.expression()?);
            if !self.sign(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn map(&mut self) -> Parsed {
        let mut members = Vec::new();
        while !self.sign("}") {
            let key = self.expression()?;
            self.expect(":")?;
            members.push((key, self.expression()?));
            if !self.sign(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Map(members))
    }

    /// `of.name(…`: a loop, or a function of `of` and the arguments.
    fn method(&mut self, of: Expr, name: &str) -> Parsed {
        let kind = match name {
            "all" => LoopKind::All,
            "exists" => LoopKind::Exists,
            "exists_one" => LoopKind::ExistsOne,
            "map" => LoopKind::Map,
            "filter" => LoopKind::Filter,
            _ => {
                let arguments = self.list(")")?;
                return call(name, std::iter::once(of).chain(arguments).collect(), true);
            }
        };
        let variable = self.name()?;
        self.expect(",")?;
        self.bound.push(variable.clone());
        let first = self.expression()?;
        let second = match kind == LoopKind::Map && self.sign(",") {
            true => Some(self.expression()?),
            false => None,
        };
        self.bound.pop();
        self.expect(")")?;
        let (condition, body) = match (kind, second) {
            (LoopKind::Map, Some(body)) => (Some(first), Some(body)),
            (LoopKind::Map, None) => (None, Some(first)),
            (LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne | LoopKind::Filter, _) => (Some(first), None),
        };
        Ok(Expr::Loop(Box::new(Loop { over: of, variable, condition, body, kind })))
    }
}

fn has(mut arguments: Vec<Expr>) -> Parsed {
    match (arguments.pop(), arguments.is_empty()) {
        (Some(Expr::Member { of, name, .. }), true) => Ok(Expr::Has { of, name }),
        _ => Err("`has` takes one member, like `has(input.version)`".to_owned()),
    }
}

fn call(name: &str, arguments: Vec<Expr>, is_method: bool) -> Parsed {
    let named: Vec<&'static Function> = functions::ALL.iter().filter(|function| function.name == name).collect();
    let fits = |function: &&&'static Function| {
        function.arguments.contains(&arguments.len()) && (is_method || !function.is_method_only)
    };
    match named.iter().find(fits) {
        Some(function) => Ok(Expr::Call { function, arguments }),
        None if named.is_empty() => Err(format!("undefined function `{name}`")),
        None => Err(format!("function `{name}` takes other arguments")),
    }
}
