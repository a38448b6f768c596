//! Runs groups of cases, each on a machine of its own, several machines at a time.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use qemu_bench::Machine;

use crate::case::Group;
use crate::report::{Outcome, Report};

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether it runs cases. Threads that a case starts do not.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Runs them all.
pub(crate) fn run(groups: Vec<Group>, jobs: usize) -> Report {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if !RUNS.get() {
            println!("bench a thread of a case: {} ({place})", message(info.payload()));
        }
        PLACE.with_borrow_mut(|kept| *kept = place);
    }));
    let begin = Instant::now();
    let waiting = Mutex::new(groups.into_iter().rev().collect::<Vec<_>>());
    let outcomes = Mutex::new(Vec::new());
    let starts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                RUNS.set(true);
                loop {
                    // A statement of its own: the lock is let go before the group runs.
                    let next = waiting.lock().unwrap().pop();
                    let Some(group) = next else { break };
                    let (done, start) = run_group(&group);
                    outcomes.lock().unwrap().extend(done);
                    starts.lock().unwrap().extend(start);
                }
            });
        }
    });
    let _ = panic::take_hook();
    Report::new(outcomes.into_inner().unwrap(), starts.into_inner().unwrap(), begin.elapsed())
}

/// Starts the group's machine and runs its cases there; answers how long the start took, too. Without a machine all of them
/// have failed.
fn run_group(group: &Group) -> (Vec<Outcome>, Option<Duration>) {
    let board = group.options.board.name;
    let outcome = |name: &str, seconds, failure| Outcome {
        board,
        way: group.way,
        name: name.to_owned(),
        seconds,
        failure,
    };
    let begin = Instant::now();
    let machine = match Machine::start(group.options.clone()) {
        Ok(machine) => machine,
        Err(error) => {
            let failed = |case: &crate::case::Case| outcome(&case.name, 0.0, Some(error.to_string()));
            return (group.cases.iter().map(failed).collect(), None);
        }
    };
    let start = begin.elapsed();
    let mut outcomes = Vec::new();
    for case in &group.cases {
        let begin = Instant::now();
        let before = (machine.hal().outstanding(), machine.hal().leaks());
        let printed = machine.log().len();
        let answer = panic::catch_unwind(AssertUnwindSafe(|| (case.run)(&machine)));
        let failure = match answer {
            Ok(()) => leftovers(&machine, before),
            Err(panic) => Some(format!("{} ({})", message(&*panic), PLACE.with_borrow(Clone::clone))),
        };
        let failure = failure.map(|failure| {
            let log = machine.log();
            let said = log.get(printed..).unwrap_or_default().trim_end();
            if said.is_empty() { failure } else { format!("{failure}; QEMU says: {said}") }
        });
        outcomes.push(outcome(&case.name, begin.elapsed().as_secs_f64(), failure));
    }
    (outcomes, Some(start))
}

/// What a case must not leave behind.
fn leftovers(machine: &Machine, (before, leaks): ((usize, usize), usize)) -> Option<String> {
    if let Some(failure) = machine.qtest().failure() {
        return Some(failure);
    }
    let hal = machine.hal();
    let after = hal.outstanding();
    if after != before {
        return Some(format!("pages out, of RAM and private: {before:?} before, {after:?} after"));
    }
    let faults = hal.faults();
    if !faults.is_empty() {
        return Some(faults.join("; "));
    }
    (hal.leaks() > leaks).then(|| format!("{} leaks", hal.leaks() - leaks))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
