//! Asks a model: its name, then `evidence:` references.
#![cfg(target_arch = "wasm32")]

probe_plugin::probe!("diagnose", model, |fields| {
    let evidence = fields.iter().filter_map(|field| field.strip_prefix("evidence:").map(str::to_owned));
    let prompt = fields.iter().find_map(|field| field.strip_prefix("prompt:")).unwrap_or("why?");
    let question = model::Question {
        model: fields[0].clone(),
        prompt: prompt.to_owned(),
        evidence: evidence.collect(),
        answer_schema: r#"{ "type": "object", "required": ["cause"] }"#.to_owned(),
        answer_tokens_max: 100,
    };
    model::ask(&question).map(drop)
});
