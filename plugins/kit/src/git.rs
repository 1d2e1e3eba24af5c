//! Branches and tags of a remote, from `git ls-remote`.

use std::collections::BTreeMap;

use light_workflow_sdk::{CommandTemplate, Invocation};

use crate::rust_release::GitLsRemote;

/// The references of a remote.
#[derive(Debug, Default, PartialEq)]
pub struct Remote {
    pub branches: BTreeMap<String, String>,
    /// Tag to the commit it stands for; an annotated tag is followed to its commit.
    pub tags: BTreeMap<String, String>,
}

pub fn ls_remote(url: &str, why: &'static str) -> Invocation {
    GitLsRemote { url: url.to_owned() }.invocation(why)
}

/// Reads lines of `SHA<TAB>refs/heads/main`.
pub fn parse_ls_remote(stdout: &str) -> Remote {
    let mut remote = Remote::default();
    let lines = stdout.lines().filter_map(|line| line.split_once('\t'));
    for (commit, name) in lines {
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            remote.branches.insert(branch.to_owned(), commit.to_owned());
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            match tag.strip_suffix("^{}") {
                Some(annotated) => {
                    remote.tags.insert(annotated.to_owned(), commit.to_owned());
                }
                None => {
                    remote.tags.entry(tag.to_owned()).or_insert_with(|| commit.to_owned());
                }
            }
        }
    }
    remote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotated_tag_stands_for_its_commit() {
        let remote = parse_ls_remote(
            "aaa\trefs/heads/main\nbbb\trefs/tags/v1.0.0\nccc\trefs/tags/v1.0.0^{}\nddd\trefs/tags/light\n",
        );
        assert_eq!(remote.branches["main"], "aaa");
        assert_eq!(remote.tags["v1.0.0"], "ccc");
        assert_eq!(remote.tags["light"], "ddd");
    }
}
