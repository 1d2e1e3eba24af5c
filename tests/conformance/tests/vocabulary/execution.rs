//! What a runtime gives back, and what it is asked.

use serde_json::Value;

/// How one execution ended.
#[derive(Debug, Clone)]
pub struct Execution {
    pub status: String,
    pub output: Value,
    pub error: Value,
    /// In the order they started; what was skipped is not among them.
    pub tasks: Vec<Task>,
    /// What people were asked, in that order.
    pub questions: Vec<Question>,
}

/// One execution of a task.
#[derive(Debug, Clone)]
pub struct Task {
    pub name: String,
    pub status: String,
    /// Of one that completed.
    pub output: Value,
    /// Of one that faulted.
    pub error: Value,
}

/// A question to a person.
#[derive(Debug, Clone)]
pub struct Question {
    pub task: String,
    pub prompt: String,
    /// The person or the role it is for.
    pub assignees: Vec<String>,
    /// The values to choose from.
    pub options: Vec<String>,
    pub subject: Value,
    /// Answers that it did not take.
    pub refused: Vec<String>,
}

/// One execution that a schedule started.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// None: it has not ended yet.
    pub execution: Option<Execution>,
    /// Places in the one order of all starts and ends.
    pub start: usize,
    pub end: usize,
}

/// What plays a scenario. What a runtime does not have it says, and the scenario fails.
pub trait Runtime {
    /// Runs a definition to its end.
    ///
    /// # Errors
    ///
    /// It was refused, and nothing ran: what was said of it.
    fn execute(&mut self, definition: &str, input: &Value) -> Result<Execution, String>;

    /// Makes a definition known that others may run.
    fn know(&mut self, _definition: &str) -> Result<(), String> {
        Err("this runtime knows no other definitions".to_owned())
    }

    /// Puts a document beside the definition.
    fn document(&mut self, _name: &str, _text: &str) -> Result<(), String> {
        Err("this runtime has no documents".to_owned())
    }

    /// Gives the runtime a secret.
    fn secret(&mut self, _name: &str, _value: &str) -> Result<(), String> {
        Err("this runtime has no secrets".to_owned())
    }

    /// Makes `http://service.test` answer `GET /path` like this.
    fn answer(&mut self, _asked: &str, _status: u16, _body: String) -> Result<(), String> {
        Err("this runtime reaches no services".to_owned())
    }

    /// Starts a broker of MQTT that everybody may use, at `HOST:PORT`.
    fn broker(&mut self, _authority: &str) -> Result<(), String> {
        Err("this runtime reaches no brokers".to_owned())
    }

    /// Starts a registry at `images.test` with the images of this kit.
    fn have_images(&mut self) -> Result<(), String> {
        Err("this runtime has no containers".to_owned())
    }

    /// The next answer to the question of this task, if the one before is refused; nobody answers other questions.
    fn answer_question(&mut self, _task: &str, _answer: &str) -> Result<(), String> {
        Err("nobody can be asked in this runtime".to_owned())
    }

    /// No question gets an answer, approvals neither.
    fn leave_questions(&mut self) -> Result<(), String> {
        Err("nobody can be asked in this runtime".to_owned())
    }

    /// Sets the clock, which goes on from there.
    fn set_clock(&mut self, _at: &str) -> Result<(), String> {
        Err("the clock of this runtime cannot be set".to_owned())
    }

    /// Lets the schedule of a definition start it, from now on.
    fn schedule(&mut self, _definition: &str) -> Result<(), String> {
        Err("this runtime has no schedules".to_owned())
    }

    /// Ends whatever follows schedules, sets the clock, and starts it again.
    fn start_again(&mut self, _at: &str) -> Result<(), String> {
        Err("this runtime has no schedules".to_owned())
    }

    /// Publishes a CloudEvent from outside.
    fn publish(&mut self, _event: &Value) -> Result<(), String> {
        Err("this runtime takes no events".to_owned())
    }

    /// What schedules started, in that order, once so many have ended or it cannot be expected any more.
    fn scheduled(&mut self, _ended_min: usize) -> Vec<Scheduled> {
        Vec::new()
    }

    /// Returns when a schedule that is due has certainly started what it starts.
    fn let_schedules_work(&mut self) {}
}
