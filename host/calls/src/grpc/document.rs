//! A proto document, read when it is called: nothing is generated or compiled
//! before, and no program of others runs.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use workflow::calls::{CallEndpoint, GrpcCall};

use crate::session::{Failure, Session, configuration};

/// Of one file: the largest of well-known interfaces have a tenth.
const PROTO_BYTES_MAX: usize = 1 << 20;

/// The document and all that it imports.
const FILES_MAX: usize = 32;

/// Messages within messages: the parser calls itself for each.
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
    let (folder, name) = root.uri.rsplit_once('/').unwrap_or(("", &root.uri));
    let name = name.split(['?', '#']).next().unwrap_or_default().to_owned();
    let mut files = BTreeMap::new();
    let mut wanted = vec![(name.clone(), root.clone())];
    while let Some((name, place)) = wanted.pop() {
        let file = read(session, &name, &place).await?;
        for import in &file.file_descriptor_proto().dependency {
            let is_known = GoogleFileResolver::new().open_file(import).is_ok();
            if is_known || *import == name || files.contains_key(import) {
                continue;
            }
            if !import.split('/').all(|part| !matches!(part, "" | "." | "..")) || import.contains(['?', '#', '%', '\\'])
            {
                return Err(configuration(format!("`{name}` imports `{import}`, which is no path below it")));
            }
            wanted.push((import.clone(), CallEndpoint { uri: format!("{folder}/{import}"), ..root.clone() }));
        }
        files.insert(name, file);
        if files.len() + wanted.len() > FILES_MAX {
            return Err(configuration(format!("`{}` imports more than {FILES_MAX} files", root.uri)));
        }
    }
    let mut chain = ChainFileResolver::new();
    chain.add(Read(files));
    chain.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(chain);
    compiler.open_file(&name).map_err(|error| wrong(&root.uri, &error))?;
    Ok(compiler.descriptor_pool())
}

async fn read(session: &Session<'_>, name: &str, place: &CallEndpoint) -> Result<File, Failure> {
    let (bytes, _) = session.resource(place).await?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= PROTO_BYTES_MAX);
    let text =
        text.ok_or_else(|| configuration(format!("`{}` is no text of at most {PROTO_BYTES_MAX} bytes", place.uri)))?;
    if depth(text) > DEPTH_MAX {
        return Err(configuration(format!("`{}` is nested more than {DEPTH_MAX} levels deep", place.uri)));
    }
    File::from_source(name, text).map_err(|error| wrong(&place.uri, &error))
}

fn wrong(uri: &str, error: &protox::Error) -> Failure {
    configuration(format!("`{uri}` is no proto document: {error:?}"))
}

/// The most brackets that are open at once, those in texts and comments counted.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => open += 1,
            b'}' | b']' | b')' | b'>' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// Files that were read already.
struct Read(BTreeMap<String, File>);

impl FileResolver for Read {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.0.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}
