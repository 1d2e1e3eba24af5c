//! Every kind of error has a page in `docs/errors/`, and every page a use.

use std::collections::BTreeSet;
use std::path::Path;

use api::ErrorType;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn pages() -> BTreeSet<String> {
    let entries = std::fs::read_dir(format!("{ROOT}/docs/errors")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(".md").expect("a page of Markdown").to_owned()).collect()
}

/// The text of every source file of the host except the one that lists the API's own kinds.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_kind_of_error_has_a_page_with_its_title_type_and_status() {
    for kind in ErrorType::ALL {
        let slug = kind.slug();
        let page = std::fs::read_to_string(format!("{ROOT}/docs/errors/{slug}.md"))
            .unwrap_or_else(|error| panic!("docs/errors/{slug}.md: {error}"));
        assert!(page.starts_with(&format!("# {}\n", kind.title())), "{page}");
        assert!(page.contains(&format!(
            "/errors/{}`: answer of the API with status {}.",
            kind.slug(),
            kind.status().as_u16()
        )));
        for heading in ["## What it means", "## What to do"] {
            assert!(page.contains(heading), "{page}");
        }
    }
    let slugs: BTreeSet<_> = ErrorType::ALL.iter().map(|kind| kind.slug()).collect();
    assert_eq!(slugs.len(), ErrorType::ALL.len(), "two kinds share a page");
}

#[test]
fn every_page_is_of_a_kind_of_error_that_exists() {
    let mut text = String::new();
    for part in ["workflow", "worker", "calls"] {
        sources(&Path::new(ROOT).join("host").join(part).join("src"), &mut text);
    }
    let own: BTreeSet<_> = ErrorType::ALL.iter().map(|kind| kind.slug()).collect();
    for page in pages() {
        // In a workflow a type is written as `OWN_ERRORS` and the slug, or the slug alone.
        let used = text.contains(&format!("\"{page}\"")) || text.contains(&format!("}}{page}\""));
        assert!(own.contains(page.as_str()) || used, "docs/errors/{page}.md is of nothing that exists");
    }
}

#[test]
fn every_error_that_a_workflow_names_in_full_has_a_page() {
    let mut text = String::new();
    for part in ["workflow", "worker", "calls"] {
        sources(&Path::new(ROOT).join("host").join(part).join("src"), &mut text);
    }
    let pages = pages();
    let named: Vec<_> = ["OWN_ERRORS}", "own_fault(\"", "faulted(\""]
        .iter()
        .flat_map(|before| text.split(before).skip(1))
        .map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap())
        .filter(|slug| !slug.is_empty())
        .collect();
    assert!(named.len() >= 8, "{named:?}");
    for slug in named {
        assert!(pages.contains(slug), "docs/errors/{slug}.md is missing");
    }
}
