//! What happened in a simulation, to show that it was hard enough.

#[derive(Debug, Default, Clone)]
pub struct Rules {
    pub crashes_before_commit: u64,
    pub crashes_after_commit: u64,
    pub late_owners_refused: u64,
    pub takeovers: u64,
    pub people_answered: u64,
    pub effects: u64,
    pub children_started: u64,
    pub events_sent: u64,
    /// By somebody who lost the first answer.
    pub events_sent_again: u64,
    pub events_consumed: u64,
    pub suspended: u64,
    /// Loaded from a kept state and the events after it.
    pub resumed: u64,
}

impl Rules {
    pub fn add(&mut self, other: &Rules) {
        self.crashes_before_commit += other.crashes_before_commit;
        self.crashes_after_commit += other.crashes_after_commit;
        self.late_owners_refused += other.late_owners_refused;
        self.takeovers += other.takeovers;
        self.people_answered += other.people_answered;
        self.effects += other.effects;
        self.children_started += other.children_started;
        self.events_sent += other.events_sent;
        self.events_sent_again += other.events_sent_again;
        self.events_consumed += other.events_consumed;
        self.suspended += other.suspended;
        self.resumed += other.resumed;
    }
}
