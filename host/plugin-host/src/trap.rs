//! What a trap means, in plain words.

use wasmtime::Trap;

/// The engine's words name an instruction; an author wants to know what happened.
pub(crate) fn plain_words(error: &wasmtime::Error) -> String {
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return format!("{}", error.root_cause());
    };
    match trap {
        Trap::UnreachableCodeReached => "it panicked or aborted".to_owned(),
        Trap::StackOverflow => "its calls nested too deeply".to_owned(),
        Trap::MemoryOutOfBounds => {
            "it reached outside its memory; with Rust that is mostly a recursion without end".to_owned()
        }
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "it called through a function pointer that is none".to_owned()
        }
        Trap::IntegerDivisionByZero => "it divided by zero".to_owned(),
        Trap::IntegerOverflow | Trap::BadConversionToInteger => "a number did not fit its type".to_owned(),
        // New kinds of traps come with engine versions; their own words are better than none.
        other => other.to_string().replace("wasm trap: ", ""),
    }
}
