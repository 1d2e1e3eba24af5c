//! Reads a URL; `method:HEAD` asks for its head, each `name=value` is a header.
#![cfg(target_arch = "wasm32")]

probe_plugin::probe!("probe", http, |fields| {
    let headers = fields[1..].iter().filter_map(|field| field.split_once('='));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let method = if fields.iter().any(|field| field == "method:HEAD") { http::Method::Head } else { http::Method::Get };
    http::fetch(&http::Request { method, url: fields[0].clone(), headers }).map(drop)
});
