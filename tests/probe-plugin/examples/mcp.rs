//! Calls a tool: `server`, `tool`, and its arguments as hex of JSON.
#![cfg(target_arch = "wasm32")]

probe_plugin::probe!("build", mcp, |fields| {
    let (server, tool) = fields[0].split_once('/').unwrap_or_default();
    let text = fields.get(1).map_or("{}", String::as_str);
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
    let bytes: Vec<u8> = if text == "{}" { text.into() } else { (0..text.len()).step_by(2).map(digits).collect() };
    mcp::call_tool(server, tool, &String::from_utf8_lossy(&bytes)).map(drop)
});
