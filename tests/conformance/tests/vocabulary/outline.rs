//! Scenarios, with each row of an outline's examples as one of its own, and with
//! the steps of a background before their own.

use gherkin::{Background, Feature, Scenario, Step};

pub fn expand(feature: &Feature) -> Vec<Scenario> {
    let common = steps_of(feature.background.as_ref());
    let mut scenarios: Vec<Scenario> =
        feature.scenarios.iter().flat_map(rows).map(|scenario| after(&common, scenario)).collect();
    for rule in &feature.rules {
        let common = [common.clone(), steps_of(rule.background.as_ref())].concat();
        scenarios.extend(rule.scenarios.iter().flat_map(rows).map(|scenario| after(&common, scenario)));
    }
    scenarios
}

fn steps_of(background: Option<&Background>) -> Vec<Step> {
    background.map(|background| background.steps.clone()).unwrap_or_default()
}

fn after(common: &[Step], scenario: Scenario) -> Scenario {
    Scenario { steps: [common, &scenario.steps].concat(), ..scenario }
}

fn rows(scenario: &Scenario) -> Vec<Scenario> {
    if scenario.examples.is_empty() {
        return vec![scenario.clone()];
    }
    let tables = scenario.examples.iter().filter_map(|examples| examples.table.as_ref());
    tables
        .flat_map(|table| {
            let (head, body) = table.rows.split_first().expect("a table of examples has a head");
            body.iter().map(|row| filled(scenario, head, row))
        })
        .collect()
}

fn filled(scenario: &Scenario, head: &[String], row: &[String]) -> Scenario {
    let fill = |text: &str| {
        head.iter().zip(row).fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value))
    };
    let step =
        |step: &Step| Step { value: fill(&step.value), docstring: step.docstring.as_deref().map(fill), ..step.clone() };
    Scenario {
        name: format!("{} ({})", fill(&scenario.name), row.first().map_or("", String::as_str)),
        steps: scenario.steps.iter().map(step).collect(),
        examples: Vec::new(),
        ..scenario.clone()
    }
}
