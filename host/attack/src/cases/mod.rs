//! All attacks, by what they aim at.

mod calls;
mod exhaustion;
mod files;
mod handles;
mod imports;
mod loops;
mod scenes;
mod values;
mod wasi;

use crate::case::Case;

/// Every case of the suite, in the order a reviewer reads them.
pub fn all() -> Vec<Case> {
    let groups = [
        loops::cases(),
        exhaustion::cases(),
        values::cases(),
        handles::cases(),
        imports::cases(),
        calls::cases(),
        wasi::cases(),
        files::cases(),
        scenes::cases(),
    ];
    groups.into_iter().flatten().collect()
}
