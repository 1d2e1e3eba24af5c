//! What Maven prints, as data: modules in the reactor's order, how each ended, and
//! the line that says why a build failed.

use schemars::JsonSchema;
use serde::Serialize;

/// A module of the reactor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Module {
    pub group: String,
    pub artifact: String,
    pub version: String,
    /// `jar`, `pom`, `war` …
    pub packaging: String,
}

/// A line of the reactor summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModuleResult {
    pub name: String,
    /// `SUCCESS`, `FAILURE` or `SKIPPED`.
    pub status: String,
}

/// Lines without `[INFO] ` before them.
fn info(stdout: &str) -> impl Iterator<Item = &str> {
    stdout.lines().filter_map(|line| line.strip_prefix("[INFO] ")).map(str::trim_end)
}

/// Modules in the order in which they are built: three lines head each of them.
///
/// ```text
/// [INFO] ------------------------< test.demo:demo-core >-------------------------
/// [INFO] Building demo-core 1.2.0                                           [2/3]
/// [INFO] --------------------------------[ jar ]---------------------------------
/// ```
pub fn modules(stdout: &str) -> Vec<Module> {
    let lines: Vec<&str> = info(stdout).collect();
    let heads = lines.iter().enumerate().filter_map(|(at, line)| {
        let (group, artifact) = between(line, "< ", " >")?.split_once(':')?;
        // Newer versions of Maven name the POM's file between the lines.
        let rest = lines.get(at + 1..)?;
        let building = rest.iter().take(3).find_map(|line| line.strip_prefix("Building "))?;
        let packaging = rest.iter().take(4).find_map(|line| between(line, "[ ", " ]"))?;
        Some(Module {
            group: group.to_owned(),
            artifact: artifact.to_owned(),
            version: version(building)?.to_owned(),
            packaging: packaging.to_owned(),
        })
    });
    heads.collect()
}

/// `x` of a ruler line `---< x >---`.
fn between<'a>(line: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = line.trim_matches('-');
    (inner.len() < line.len()).then(|| inner.strip_prefix(open)?.strip_suffix(close)).flatten()
}

/// The last word, before the place in the reactor: `demo core 1.2.0      [2/3]`.
fn version(building: &str) -> Option<&str> {
    building.split_whitespace().rfind(|word| !(word.starts_with('[') && word.ends_with(']')))
}

/// How each module ended; a project of one module has no summary.
pub fn reactor_summary(stdout: &str) -> Vec<ModuleResult> {
    let lines = info(stdout).skip_while(|line| !line.starts_with("Reactor Summary")).skip(1);
    let results = lines.take_while(|line| !line.starts_with("BUILD ")).filter_map(|line| {
        let status =
            ["SUCCESS", "FAILURE", "SKIPPED"].into_iter().find(|status| line.contains(&format!(". {status}")))?;
        let name = line.split(" .").next()?.trim();
        Some(ModuleResult { name: name.to_owned(), status: status.to_owned() })
    });
    results.collect()
}

/// Why the build failed, in one line; none if Maven does not say.
pub fn why(stdout: &str) -> Option<String> {
    let errors: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("[ERROR] ")).map(str::trim).collect();
    if let Some(error) = errors.iter().find_map(|line| compile_error(line)) {
        return Some(error);
    }
    let failed = errors.iter().rfind(|line| line.starts_with("Failed to execute goal"));
    let told = failed.or_else(|| errors.iter().find(|line| !line.is_empty()))?;
    Some(told.split(" -> [Help").next().unwrap_or(told).chars().take(400).collect())
}

/// `/workspace/repos/demo/core/src/main/java/demo/Sum.java:[8,16] cannot find symbol`
fn compile_error(line: &str) -> Option<String> {
    let (path, rest) = line.split_once(":[")?;
    let is_source = [".java", ".kt", ".scala", ".groovy"].iter().any(|end| path.ends_with(end));
    let (place, message) = rest.split_once("] ").filter(|_| is_source)?;
    let row = place.split(',').next()?;
    let path = path.strip_prefix("/workspace/").unwrap_or(path);
    Some(format!("compile error: {} ({path}:{row})", message.trim()))
}

/// Whether a fetch failed for want of a network that may be back in a minute.
pub fn is_network_trouble(stdout: &str) -> bool {
    let words = ["Unknown host", "Connection timed out", "Connection refused", "Connection reset", "Read timed out"];
    let errors = stdout.lines().filter(|line| line.starts_with("[ERROR]"));
    let statuses = ["status: 429", "status: 500", "status: 502", "status: 503", "status: 504"];
    errors.into_iter().any(|line| words.iter().chain(&statuses).any(|words| line.contains(words)))
}

#[cfg(test)]
pub mod recorded {
    //! What Maven 3.8.7 printed for a project of two modules, shortened by equal lines.

    pub const BUILD: &str = "\
[INFO] Scanning for projects...
[INFO] ------------------------------------------------------------------------
[INFO] Reactor Build Order:
[INFO]
[INFO] demo                                                               [pom]
[INFO] demo-core                                                          [jar]
[INFO] demo app                                                           [jar]
[INFO]
[INFO] ---------------------------< test.demo:demo >---------------------------
[INFO] Building demo 1.2.0                                                [1/3]
[INFO] --------------------------------[ pom ]---------------------------------
[INFO]
[INFO] ------------------------< test.demo:demo-core >-------------------------
[INFO] Building demo-core 1.2.0                                           [2/3]
[INFO] --------------------------------[ jar ]---------------------------------
[INFO]
[INFO] --- maven-resources-plugin:3.3.0:resources (default-resources) @ demo-core ---
[INFO] -------------------------< test.demo:demo-app >-------------------------
[INFO] Building demo app 1.2.0                                            [3/3]
[INFO] --------------------------------[ jar ]---------------------------------
[INFO] ------------------------------------------------------------------------
[INFO] Reactor Summary for demo 1.2.0:
[INFO]
[INFO] demo ............................................... SUCCESS [  0.002 s]
[INFO] demo-core .......................................... SUCCESS [ 16.839 s]
[INFO] demo app ........................................... SUCCESS [  0.519 s]
[INFO] ------------------------------------------------------------------------
[INFO] BUILD SUCCESS
[INFO] ------------------------------------------------------------------------
";

    pub const BROKEN: &str = "\
[INFO] -------------------------------------------------------------
[ERROR] COMPILATION ERROR :
[INFO] -------------------------------------------------------------
[ERROR] /workspace/repos/demo/core/src/main/java/demo/Sum.java:[7,16] cannot find symbol
  symbol:   variable rigth
  location: class demo.Sum
[INFO] 1 error
[INFO] Reactor Summary for demo 1.2.0:
[INFO]
[INFO] demo ............................................... SUCCESS [  0.002 s]
[INFO] demo-core .......................................... FAILURE [  1.010 s]
[INFO] demo app ........................................... SKIPPED
[INFO] ------------------------------------------------------------------------
[INFO] BUILD FAILURE
[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.10.1:compile (default-compile) on project demo-core: Compilation failure
[ERROR] /workspace/repos/demo/core/src/main/java/demo/Sum.java:[7,16] cannot find symbol
[ERROR]   symbol:   variable rigth
[ERROR] -> [Help 1]
";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_in_the_reactors_order_with_their_coordinates() {
        let found = modules(recorded::BUILD);
        let told: Vec<_> =
            found.iter().map(|m| format!("{}:{}:{}:{}", m.group, m.artifact, m.packaging, m.version)).collect();
        assert_eq!(told, ["test.demo:demo:pom:1.2.0", "test.demo:demo-core:jar:1.2.0", "test.demo:demo-app:jar:1.2.0"]);
        let one = "[INFO] ---< g:a >---\n[INFO] Building a 1.0-SNAPSHOT\n[INFO]   from pom.xml\n[INFO] ---[ war ]---\n";
        assert_eq!(
            modules(one)[0],
            Module { group: "g".into(), artifact: "a".into(), version: "1.0-SNAPSHOT".into(), packaging: "war".into() }
        );
        assert_eq!(modules("[INFO] < g:a >\n[INFO] ---< g:a >---\n"), []);
    }

    #[test]
    fn the_summary_says_how_each_module_ended() {
        let statuses = |stdout: &str| -> Vec<(String, String)> {
            reactor_summary(stdout).into_iter().map(|result| (result.name, result.status)).collect()
        };
        let expected = [("demo", "SUCCESS"), ("demo-core", "FAILURE"), ("demo app", "SKIPPED")];
        assert_eq!(statuses(recorded::BROKEN), expected.map(|(name, status)| (name.to_owned(), status.to_owned())));
        assert_eq!(statuses(recorded::BUILD).len(), 3);
        assert_eq!(statuses("[INFO] BUILD SUCCESS\n"), []);
    }

    #[test]
    fn a_compile_error_is_one_line_with_its_place_and_anything_else_the_goal_that_failed() {
        let place = "compile error: cannot find symbol (repos/demo/core/src/main/java/demo/Sum.java:7)";
        assert_eq!(why(recorded::BROKEN).as_deref(), Some(place));
        let goal = "[ERROR] Failed to execute goal x:enforce on project demo: rules have failed -> [Help 1]\n[ERROR] \n[ERROR] To see the full stack trace\n";
        assert_eq!(why(goal).as_deref(), Some("Failed to execute goal x:enforce on project demo: rules have failed"));
        assert_eq!(why("[INFO] nothing"), None);
    }

    #[test]
    fn only_an_error_of_the_network_is_one() {
        assert!(is_network_trouble("[ERROR] Failed: repo.test: Unknown host repo.test"));
        assert!(is_network_trouble(
            "[ERROR] Could not transfer artifact a:b (https://r): status: 503 Service Unavailable"
        ));
        assert!(!is_network_trouble("[INFO] Connection refused by the test's server"));
    }
}
