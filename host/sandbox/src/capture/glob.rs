//! Globs over paths below a workspace.

/// `*` and `?` stay inside a part; `**` is any number of parts.
#[derive(Debug)]
pub struct Glob<'a>(Vec<&'a str>);

impl<'a> Glob<'a> {
    pub fn new(text: &'a str) -> Self {
        Self(text.split('/').filter(|part| !part.is_empty() && *part != ".").collect())
    }

    pub fn matches(&self, path: &[&str]) -> bool {
        matches(&self.0, path)
    }

    /// Whether a path below `folder` could match.
    pub fn reaches_below(&self, folder: &[&str]) -> bool {
        reaches_below(&self.0, folder)
    }
}

fn matches(glob: &[&str], path: &[&str]) -> bool {
    match (glob, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => matches(rest, path) || (!path.is_empty() && matches(glob, &path[1..])),
        ([part, glob @ ..], [name, path @ ..]) => part_matches(part.as_bytes(), name.as_bytes()) && matches(glob, path),
        ([], [..]) | ([..], []) => false,
    }
}

fn reaches_below(glob: &[&str], folder: &[&str]) -> bool {
    match (glob, folder) {
        ([], _) => false,
        (["**", ..], _) | ([..], []) => true,
        ([part, glob @ ..], [name, folder @ ..]) => {
            part_matches(part.as_bytes(), name.as_bytes()) && reaches_below(glob, folder)
        }
    }
}

/// Goes back to the last `*` only, so it takes at most pattern × name steps.
fn part_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, n) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_glob_matches_parts_and_prunes_folders() {
        let cases = [
            ("target/package/*.crate", "target/package/a-1.0.0.crate", true),
            ("target/package/*.crate", "target/package/tmp/a.crate", false),
            ("**/*.xml", "a/b/c.xml", true),
            ("**/*.xml", "c.xml", true),
            ("a/**/z", "a/z", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", ".hidden", true),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("a", "a/b", false),
        ];
        for (glob, path, expected) in cases {
            let parts: Vec<_> = path.split('/').collect();
            assert_eq!(Glob::new(glob).matches(&parts), expected, "{glob} {path}");
            let parents_reach = (0..parts.len()).all(|depth| Glob::new(glob).reaches_below(&parts[..depth]));
            assert!(!expected || parents_reach, "{glob} {path}");
        }
        assert!(!Glob::new("target/*").reaches_below(&["src"]));
        assert!(!Glob::new("target/*").reaches_below(&["target", "debug"]));
    }
}
