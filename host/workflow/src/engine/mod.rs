//! Instance = fold(history); decide(instance, now) = what happens next.
