//! What a command may use, and how it is ended.

use std::time::Duration;

use sandbox::Provider;
use workflow::CommandStatus;

use super::house::{House, as_root, key, processes_with, python, session, shell};

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory() {
    let house = House::new();
    let outcome = house.run(python("x = bytearray(900 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1")).await;
    if as_root() {
        assert_eq!(outcome.status, CommandStatus::Killed, "{outcome:?}");
        assert!(outcome.summary.contains("out of memory (limit 512 MiB)"), "{outcome:?}");
    } else {
        assert_eq!(outcome.status, CommandStatus::Failed, "{outcome:?}");
        assert!(outcome.stderr_excerpt.contains("MemoryError"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit_on_processes() {
    let house = House::new();
    let script = "import os, time\nn = 0\n\
        try:\n    \
            while n < 2000:\n        \
                if os.fork() == 0: time.sleep(60); os._exit(0)\n        \
                n += 1\n\
        except OSError as error: print(n, error.errno)";
    let outcome = house.run(python(script)).await;
    let words: Vec<_> = outcome.stdout_excerpt.split_whitespace().collect();
    assert!(words.len() == 2 && words[1] == "11", "{outcome:?}");
    assert!(words[0].parse::<u32>().expect("a number") <= 160, "{outcome:?}");
}

#[tokio::test]
async fn a_flood_of_output_is_ended() {
    let house = House::new();
    let outcome = house.run(shell("yes >&2")).await;
    assert_eq!(outcome.status, CommandStatus::Killed, "{outcome:?}");
    assert!(outcome.summary.contains("more than 1 MiB of output"), "{outcome:?}");
    assert_eq!(std::fs::metadata(&outcome.stderr).expect("the log").len(), 1 << 20);
}

#[tokio::test]
async fn a_file_does_not_grow_over_its_limit() {
    let house = House::new();
    let outcome = house.run(session(1, &["dd", "if=/dev/zero", "of=big", "bs=1M", "count=100", "status=none"])).await;
    assert_eq!((outcome.status, outcome.exit_code), (CommandStatus::Failed, None), "{outcome:?}");
    assert!(outcome.summary.contains("SIGXFSZ"), "{outcome:?}");
}

#[tokio::test]
async fn a_workspace_does_not_grow_over_its_limit() {
    let house = House::new();
    let script = "i=0; while :; do i=$((i+1)); dd if=/dev/zero of=f$i bs=1M count=10 status=none; done";
    let outcome = house.run(shell(script)).await;
    assert_eq!(outcome.status, CommandStatus::Killed, "{outcome:?}");
    assert!(outcome.summary.contains("workspace"), "{outcome:?}");
}

#[tokio::test]
async fn the_time_limit_ends_all_processes_of_a_command() {
    let house = House::new();
    let script = "setsid sleep 4712.25 & trap '' TERM; (trap '' TERM; sleep 4712.25) & wait; sleep 4712.25";
    let mut request = session(1, &["sh", "-c", script]);
    request.command.time_limit_ms = 500;
    let outcome = house.run(request).await;
    assert_eq!(outcome.status, CommandStatus::TimedOut, "{outcome:?}");
    assert_eq!(outcome.summary, "killed: it ran longer than its 500 ms");
    assert_eq!(processes_with("sleep 4712.25"), [""; 0]);
}

#[tokio::test]
async fn a_command_may_end_itself_after_term() {
    let house = House::new();
    let mut request = session(1, &["sh", "-c", "trap 'echo ended; exit 0' TERM; sleep 60 & wait"]);
    request.command.time_limit_ms = 1_000;
    let outcome = house.run(request).await;
    assert_eq!((outcome.status, &*outcome.stdout_excerpt), (CommandStatus::TimedOut, "ended\n"), "{outcome:?}");
}

#[tokio::test]
async fn a_cancelled_command_has_an_outcome() {
    let house = House::new();
    let request = session(1, &["sh", "-c", "echo here; sleep 4713.25"]);
    let log = house.spool(&request.key).join("stdout.log");
    let kill_when_it_runs = async {
        while std::fs::read(&log).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.local.kill(&key("i", 1)).await;
    };
    let (outcome, ()) = tokio::join!(house.run(request.clone()), kill_when_it_runs);
    assert_eq!((outcome.status, &*outcome.summary), (CommandStatus::Killed, "killed: cancelled"), "{outcome:?}");
    assert_eq!(outcome.stdout_excerpt, "here\n");
    assert_eq!(processes_with("sleep 4713.25"), [""; 0]);
}
