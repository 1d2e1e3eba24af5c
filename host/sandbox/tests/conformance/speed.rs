//! The hook of the benchmark gives figures. What they are is no test.

use sandbox::bench::bench;
use workflow::TemplateName;

use super::world::World;

#[tokio::test]
async fn the_benchmark_measures_each_series_in_each_round() {
    let world = World::new();
    let template = TemplateName::new("conformance").expect("a name");
    let report = bench(world.provider.as_ref(), &template, 9).await.expect("a report");
    for (name, median) in report.medians() {
        println!("{name:<40} {median:.1} ms");
        assert!(median > 0.0, "{name}");
    }
    assert_eq!(report.exec_outcome_ms.len(), 9);
    assert_eq!(report.bare_bwrap_ms.len(), 9);
}
