//! A proto document, read when it is called: nothing is generated or compiled
//! before, and no program of others runs.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use workflow::calls::{CallEndpoint, GrpcCall};

use crate::exchange::parse_url;
use crate::session::{Failure, Session, configuration};

/// Of one file: the largest of well-known interfaces have a tenth.
const PROTO_BYTES_MAX: usize = 1 << 20;

/// The document and all that it imports.
const FILES_MAX: usize = 32;

/// Messages within messages, and values within the values of options: who reads
/// them calls itself for each.
const DEPTH_MAX: usize = 48;

/// The method that a call names, with everything its messages are made of.
pub async fn method(session: &Session<'_>, call: &GrpcCall) -> Result<MethodDescriptor, Failure> {
    let pool = pool(session, &call.proto).await?;
    let named = |name: &str| name == call.service || name.rsplit('.').next() == Some(&call.service);
    let services: Vec<_> = pool.services().filter(|service| named(service.full_name())).collect();
    let service = match services.as_slice() {
        [service] => service,
        [] => {
            let known: Vec<_> = pool.services().map(|service| service.full_name().to_owned()).collect();
            let text = format!("the document has no service `{}`; it has {}", call.service, known.join(", "));
            return Err(configuration(text));
        }
        several => {
            let known: Vec<_> = several.iter().map(|service| service.full_name()).collect();
            return Err(configuration(format!("`{}` may be each of {}", call.service, known.join(", "))));
        }
    };
    let found = service.methods().find(|method| method.name() == call.method);
    let Some(method) = found else {
        let known: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
        return Err(configuration(format!(
            "service `{}` has no method `{}`; it has {}",
            service.full_name(),
            call.method,
            known.join(", ")
        )));
    };
    if method.is_client_streaming() {
        return Err(configuration(format!(
            "method `{}` takes a stream of requests; a call has one",
            method.full_name()
        )));
    }
    Ok(method)
}

async fn pool(session: &Session<'_>, root: &CallEndpoint) -> Result<DescriptorPool, Failure> {
    let name = name_of(&root.uri)?;
    let mut files = BTreeMap::new();
    let mut wanted = vec![(name.clone(), root.clone())];
    while let Some((name, place)) = wanted.pop() {
        let file = read(session, &name, &place).await?;
        for import in &file.file_descriptor_proto().dependency {
            let is_known = GoogleFileResolver::new().open_file(import).is_ok();
            if is_known || *import == name || files.contains_key(import) {
                continue;
            }
            if !import.split('/').all(|part| !matches!(part, "" | "." | ".."))
                || import.contains(['?', '#', '%', '\\', '\t', '\n', '\r'])
            {
                return Err(configuration(format!("`{name}` imports `{import}`, which is no path below it")));
            }
            wanted.push((import.clone(), CallEndpoint { uri: beside(&root.uri, import)?, ..root.clone() }));
        }
        files.insert(name, file);
        if files.len() + wanted.len() > FILES_MAX {
            return Err(configuration(format!("`{}` imports more than {FILES_MAX} files", root.uri)));
        }
    }
    aside(&root.uri, move || {
        let mut chain = ChainFileResolver::new();
        chain.add(Read(files));
        chain.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(chain);
        compiler.open_file(&name)?;
        Ok(compiler.descriptor_pool())
    })
    .await
}

/// The file at `uri`, as imports name it.
fn name_of(uri: &str) -> Result<String, Failure> {
    if let Some(path) = uri.strip_prefix("file://") {
        return Ok(path.rsplit('/').next().unwrap_or(path).to_owned());
    }
    let url = parse_url(uri)?;
    let last = url.path().rsplit('/').next().filter(|last| !last.is_empty());
    Ok(last.or(url.host_str()).unwrap_or(uri).to_owned())
}

/// Where an import of the document at `root` is: below its folder, at its origin.
fn beside(root: &str, import: &str) -> Result<String, Failure> {
    if let Some(path) = root.strip_prefix("file://") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        return Ok(format!("file://{folder}/{import}"));
    }
    let root = parse_url(root)?;
    // With `./` no import is a URL of its own.
    match root.join(&format!("./{import}")) {
        Ok(url) if url.origin() == root.origin() => Ok(url.into()),
        Ok(_) | Err(_) => Err(configuration(format!("`{root}` imports `{import}`, which is not at its origin"))),
    }
}

async fn read(session: &Session<'_>, name: &str, place: &CallEndpoint) -> Result<File, Failure> {
    let (bytes, _) = session.resource(place).await?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= PROTO_BYTES_MAX);
    let text =
        text.ok_or_else(|| configuration(format!("`{}` is no text of at most {PROTO_BYTES_MAX} bytes", place.uri)))?;
    if depth(text) > DEPTH_MAX {
        return Err(configuration(format!("`{}` is nested more than {DEPTH_MAX} levels deep", place.uri)));
    }
    let (name, text) = (name.to_owned(), text.to_owned());
    aside(&place.uri, move || File::from_source(&name, &text)).await
}

/// Does what may take a while where no other call waits for it.
async fn aside<T: Send + 'static>(
    uri: &str,
    work: impl FnOnce() -> Result<T, protox::Error> + Send + 'static,
) -> Result<T, Failure> {
    let wrong = |error: String| configuration(format!("`{uri}` is no proto document: {error}"));
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| wrong(error.to_string()))?;
    done.map_err(|error| wrong(format!("{error:?}")))
}

/// The most brackets that are open at once, or parts of one name: the value of
/// `option (a).b.c` lies in two messages. What stands in texts and comments is neither.
fn depth(text: &str) -> usize {
    let (mut open, mut parts, mut most) = (0_usize, 0_usize, 0);
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = match (*first, behind) {
            (quote @ (b'"' | b'\''), _) => after_text(behind, quote),
            // `#` begins a comment within the value of an option.
            (b'#', _) | (b'/', [b'/', ..]) => after(behind, b"\n"),
            (b'/', [b'*', comment @ ..]) => after(comment, b"*/"),
            _ => behind,
        };
        match *first {
            b'{' | b'[' | b'(' | b'<' => open += 1,
            b'}' | b']' | b')' | b'>' => open = open.saturating_sub(1),
            b'.' => parts += 1,
            _ => {}
        }
        if matches!(*first, b';' | b',' | b'=' | b':' | b'{' | b'}') {
            parts = 0;
        }
        most = most.max(open).max(parts);
    }
    most
}

/// What follows a text that ends with `quote`.
fn after_text(mut rest: &[u8], quote: u8) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'\\', _, behind @ ..] => behind,
            [first, behind @ ..] if *first == quote => return behind,
            [_, behind @ ..] => behind,
        };
    }
}

/// What follows the next `end`; nothing if there is none.
fn after<'a>(rest: &'a [u8], end: &[u8]) -> &'a [u8] {
    let found = rest.windows(end.len()).position(|part| part == end);
    found.map(|found| &rest[found + end.len()..]).unwrap_or_default()
}

/// Files that were read already.
struct Read(BTreeMap<String, File>);

impl FileResolver for Read {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.0.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, beside, depth, name_of};

    #[test]
    fn brackets_in_texts_and_comments_are_no_levels() {
        for (text, expected) in [
            ("message A { map<string, int32> a = 1 [deprecated = true]; }", 2),
            ("a { b < c [ d", 3),
            ("a { > > b", 1),
            (r#"a { "}" b { '}' c { "\"}" d { '\\' }"#, 4),
            ("a { // } it's\n b { /* } \" */ c { # }\n d {", 4),
            ("// { [ (\n/* { < */ \"{{{{\" '{{{{'", 0),
            ("/*/ { */ a {", 1),
            ("\"never closed { { {", 0),
            ("option (a.b).c.d = 1.5;", 3),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
        // What hides a closing bracket does not hide the level.
        for hidden in ["\"}\"", "'}'", "// }\n", "/* } */", "# }\n"] {
            for open in ["m {", "m <"] {
                let text = format!("{open} x: {hidden} ").repeat(1_000);
                assert!(depth(&text) > DEPTH_MAX, "{open} {hidden}");
            }
        }
        assert!(depth(&format!("option (a){} = 1;", ".b".repeat(1_000))) > DEPTH_MAX);
    }

    #[test]
    fn imports_stay_below_the_folder_and_at_the_origin_of_their_document() {
        for (root, name, expected) in [
            ("https://schemas.example", "schemas.example", "https://schemas.example/a/b.proto"),
            ("https://schemas.example/", "schemas.example", "https://schemas.example/a/b.proto"),
            ("https://schemas.example?x=/y/z", "schemas.example", "https://schemas.example/a/b.proto"),
            ("https://schemas.example/v1/r.proto?at=x/y#/z", "r.proto", "https://schemas.example/v1/a/b.proto"),
            ("http://127.0.0.1:8080/r.proto", "r.proto", "http://127.0.0.1:8080/a/b.proto"),
            ("file://App/r.proto", "r.proto", "file://App/a/b.proto"),
            ("file:///r.proto", "r.proto", "file:///a/b.proto"),
            ("file://r.proto", "r.proto", "file:///a/b.proto"),
        ] {
            assert_eq!(name_of(root).unwrap(), name, "{root}");
            assert_eq!(beside(root, "a/b.proto").unwrap(), expected, "{root}");
        }
        let one = beside("https://schemas.example/v1/r.proto", "http:evil.example").unwrap();
        assert_eq!(one, "https://schemas.example/v1/http:evil.example");
    }
}
