//! One statement for many rows.
//!
//! A trip to the database thread costs more than a row. Chunks have sizes that
//! are powers of two, so that few statements stay prepared.

use std::ops::Range;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// Largest chunk: 64 rows, so that no statement needs more than a few hundred parameters.
const SIZES: u32 = 7;

/// A statement around a list of rows: `before (?, ?), (?, ?) after`.
pub(super) struct ManyRows {
    by_size: Vec<Arc<str>>,
}

impl ManyRows {
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let by_size = (0..SIZES).map(|size| {
            let rows = vec![row.as_str(); 1 << size].join(", ");
            format!("{before} {rows} {after}").into()
        });
        Self { by_size: by_size.collect() }
    }

    /// Statements that together take `count` rows, largest first.
    pub(super) fn chunks(&self, count: usize) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, Range<usize>)> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let size = (count - start).checked_ilog2()?.min(SIZES - 1);
            let rows = start..start + (1 << size);
            start = rows.end;
            // Made of constants and question marks above.
            Some((AssertSqlSafe(self.by_size[size as usize].clone()), rows))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_row_once() {
        let many = ManyRows::new("insert into t values", 2, "");
        for count in [0, 1, 2, 3, 63, 64, 65, 200, 511] {
            let mut next = 0;
            for (sql, rows) in many.chunks(count) {
                assert_eq!(rows.start, next);
                assert_eq!(sql.0.matches('?').count(), 2 * rows.len());
                next = rows.end;
            }
            assert_eq!(next, count);
        }
    }
}
