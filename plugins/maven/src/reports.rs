//! Surefire's XML reports: how many tests ran, and which failed.
//!
//! A report may hold all that a test printed, so only its beginning is read, and
//! nothing but tags and attributes is looked at.

use light_workflow_sdk::{Artifact, CallError, ReadArtifacts};
use schemars::JsonSchema;
use serde::Serialize;

/// Of one report.
const REPORT_BYTES: u32 = 256 << 10;
/// A reactor of many thousand test classes is told by its first ones.
pub const REPORTS_MAX: usize = 400;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suite {
    pub name: String,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Names of tests that failed; perhaps not all of them.
    #[serde(skip)]
    pub failures: Vec<String>,
}

/// One suite for each captured report, in the order of their references.
pub fn read(host: &mut impl ReadArtifacts, captured: &[Artifact]) -> Result<Vec<Suite>, CallError> {
    let mut suites = Vec::new();
    for report in captured.iter().filter(|file| file.file_name().ends_with(".xml")).take(REPORTS_MAX) {
        let bytes = host.read(&report.uri, 0, REPORT_BYTES)?;
        suites.extend(parse(&String::from_utf8_lossy(&bytes)));
    }
    Ok(suites)
}

/// None if there is no `testsuite` in it.
pub fn parse(xml: &str) -> Option<Suite> {
    let mut suite: Option<Suite> = None;
    let mut case = String::new();
    for tag in tags(xml) {
        let (name, attributes) = tag.split_once([' ', '\n', '\t']).unwrap_or((tag, ""));
        match (name.trim_end_matches('/'), &mut suite) {
            ("testsuite", None) => suite = Some(counted(attributes)),
            ("testcase", Some(_)) => case = attribute(attributes, "name").unwrap_or_default(),
            ("failure" | "error", Some(suite)) => suite.failures.push(case.clone()),
            (_, _) => {}
        }
    }
    suite.map(|mut suite| {
        suite.failures.dedup();
        suite
    })
}

fn counted(attributes: &str) -> Suite {
    let number = |name: &str| attribute(attributes, name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let failed = number("failures").saturating_add(number("errors"));
    Suite {
        name: attribute(attributes, "name").unwrap_or_default(),
        passed: number("tests").saturating_sub(failed).saturating_sub(number("skipped")),
        failed,
        skipped: number("skipped"),
        failures: Vec::new(),
    }
}

/// What stands between `<` and `>`, without comments and what tests printed.
fn tags(xml: &str) -> impl Iterator<Item = &str> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')? + 1..];
            if let Some(printed) = rest.strip_prefix("![CDATA[") {
                rest = &printed[printed.find("]]>")? + 3..];
            } else if let Some(comment) = rest.strip_prefix("!--") {
                rest = &comment[comment.find("-->")? + 3..];
            } else {
                let end = rest.find('>')?;
                let tag = &rest[..end];
                rest = &rest[end + 1..];
                return Some(tag);
            }
        }
    })
}

/// A value between double quotes, with its entities.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, next) = after.split_once('"')?;
        if key.trim() == name {
            return Some(text(value));
        }
        rest = next;
    }
}

fn text(value: &str) -> String {
    let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&").chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0" name="demo.SumTest" time="0.05" tests="4" errors="1" skipped="1" failures="1">
  <properties><property name="tests" value="99"/></properties>
  <testcase name="adds" classname="demo.SumTest" time="0.001"/>
  <testcase name="divides&lt;int&gt;" classname="demo.SumTest">
    <failure message="expected:&lt;4&gt;" type="java.lang.AssertionError"><![CDATA[<error/> printed]]></failure>
  </testcase>
  <testcase name="throws" classname="demo.SumTest"><error type="x">at y</error><system-out><![CDATA[ <failure/> ]]></system-out></testcase>
  <testcase name="later" classname="demo.SumTest"><skipped/></testcase>
</testsuite>"#;

    #[test]
    fn a_report_says_how_many_and_which() {
        let suite = parse(REPORT).unwrap();
        assert_eq!((suite.name.as_str(), suite.passed, suite.failed, suite.skipped), ("demo.SumTest", 1, 2, 1));
        assert_eq!(suite.failures, ["divides<int>", "throws"]);
    }

    #[test]
    fn a_report_that_is_cut_or_hostile_is_read_as_far_as_it_goes() {
        assert_eq!(parse(&REPORT[..REPORT.len() / 2]).unwrap().failed, 2);
        for xml in ["", "<", "<testsuite", "<![CDATA[", "<!--", "no xml > at all <"] {
            assert_eq!(parse(xml), None, "{xml}");
        }
        let huge = format!("<testsuite tests=\"{}\" failures=\"-1\">", u64::MAX);
        assert_eq!((parse(&huge).unwrap().passed, parse(&huge).unwrap().failed), (u64::MAX, 0));
        // Quadratic work over this would take minutes.
        assert_eq!(parse(&"<![CDATA[".repeat(1_000_000)), None);
        assert_eq!(parse(&"<a b=\"".repeat(1_000_000)), None);
    }
}
