//! One command, one file.

mod audit;
mod check;
mod doctor;
mod event;
mod plugin;
mod release;
mod release_plan;
mod run;
mod serve;
mod task;
mod template;

use std::io::Read as _;
use std::path::Path;

use workflow::Actor;

use crate::cli::{CallOptions, Cli, Command};
use crate::config::Config;
use crate::host::{Host, Parts};
use crate::output::{Failure, outln};

pub async fn run(cli: Cli) -> Result<u8, Failure> {
    let context = Context { data: cli.data, config: cli.config };
    match cli.command {
        Command::Serve(serve) => serve::run(&context, serve).await,
        Command::Run(run) => run::run(&context, run).await,
        Command::Check(check) => check::run(&context, check),
        Command::Release(release) => release::run(&context, release).await,
        Command::Task(task) => task::run(&context, task).await,
        Command::Event(event) => event::run(&context, event).await,
        Command::Plugin(plugin) => plugin::run(&context, plugin).await,
        Command::Template(template) => template::run(&context, template),
        Command::Audit(audit) => audit::run(&context, audit).await,
        Command::Doctor(output) => doctor::run(&context, output),
    }
}

/// What every command was given.
pub struct Context {
    pub data: std::path::PathBuf,
    pub config: Option<std::path::PathBuf>,
}

impl Context {
    pub fn parts(&self) -> Result<Parts, Failure> {
        self.parts_with(&CallOptions::default())
    }

    /// As [`Self::parts`], with what the command line says about outbound calls.
    pub fn parts_with(&self, calls: &CallOptions) -> Result<Parts, Failure> {
        let mut config = Config::read(self.config.as_deref())?.with_calls(calls);
        // Runs have a store each; what comes from registries they share.
        config.images.folder.get_or_insert_with(|| self.data.join("images"));
        Parts::read(config)
    }

    pub async fn host_with(&self, calls: &CallOptions) -> Result<Host, Failure> {
        Host::open(&self.data, self.parts_with(calls)?).await
    }

    pub async fn host(&self) -> Result<Host, Failure> {
        Host::open(&self.data, self.parts()?).await
    }

    /// Whether something was started in the folder already.
    fn has_data(&self) -> bool {
        self.data.join("light-workflow.db").is_file()
    }

    /// For commands that only look: a folder that is not there is not made.
    pub async fn existing_host(&self) -> Result<Host, Failure> {
        if !self.has_data() {
            return Err(Failure::used_wrongly(format!(
                "there is no light-workflow data in `{}`; name the folder with --data, or start a release first",
                self.data.display()
            )));
        }
        self.host().await
    }
}

/// The person at this terminal.
fn actor() -> Actor {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| format!("uid-{}", rustix::process::getuid().as_raw()));
    let user: String = user.chars().filter(|c| !c.is_control()).take(100).collect();
    Actor::new(format!("cli:{user}")).expect("`cli:` and a name without control characters is an actor")
}

/// The text of a file, or of standard input for `-`.
fn read_input(path: &Path, what: &str) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::used_wrongly(format!("failed to read {what} from standard input: {error}")))?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
        .map_err(|error| Failure::used_wrongly(format!("failed to read {what} `{}`: {error}", path.display())))
}

/// A value as JSON on standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    outln!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
