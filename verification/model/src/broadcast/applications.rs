//! What applications ask of causal broadcast in the model, and what they are told.

use quorate_broadcast::Delivered;

/// What is told that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// A message before one of its causes.
    CauseMissing,
    /// A message of a sender before an earlier one, in the order in which they were broadcast.
    OutOfOrder,
    /// A message at two positions.
    Twice,
    /// A message that its sender never broadcast.
    Created,
    /// Two messages with one number.
    NumberReused,
    /// Another message at a position than the first time, or a position left out.
    OrderChanged,
}

/// One application; crashes of its member do not touch it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Application {
    /// How many messages it has broadcast and was not refused.
    asked: u8,
    /// What it was told, by position: payloads.
    told: Vec<u8>,
    /// What it had been told, as a set, when it broadcast each of its messages.
    causes: Vec<u16>,
    /// The payload of each of its numbers, as far as anybody was told.
    numbers: Vec<Option<u8>>,
    /// The number up to which it was told that everybody has its messages.
    stable: u64,
}

/// All applications, and what was wrong with what they were told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Applications {
    each: Vec<Application>,
    wrong: Vec<Wrong>,
    redelivered: bool,
}

impl Applications {
    pub(super) fn new(members: usize) -> Self {
        Applications {
            each: vec![Application::default(); members],
            wrong: Vec::new(),
            redelivered: false,
        }
    }

    pub(super) fn asked(&self, slot: usize) -> u8 {
        self.each[slot].asked
    }

    /// What this application was told, by position.
    pub fn told(&self, slot: usize) -> &[u8] {
        &self.each[slot].told
    }

    pub(super) fn was_told(&self, slot: usize) -> bool {
        !self.each[slot].told.is_empty()
    }

    pub(super) fn ask(&mut self, slot: usize) {
        let application = &mut self.each[slot];
        application.asked += 1;
        application.causes.push(set(&application.told));
    }

    pub(super) fn refused(&mut self, slot: usize) {
        let application = &mut self.each[slot];
        application.asked = application.asked.saturating_sub(1);
        application.causes.pop();
    }

    pub(super) fn stable(&mut self, slot: usize, sequence: u64) {
        let stable = &mut self.each[slot].stable;
        *stable = sequence.max(*stable);
    }

    /// How many of this application's messages everybody has, as it was told.
    pub(super) fn told_stable(&self, slot: usize) -> u64 {
        self.each[slot].stable
    }

    /// The highest number of this application's messages that anybody was told of.
    pub(super) fn numbered(&self, slot: usize) -> u64 {
        self.each[slot].numbers.len() as u64
    }

    pub(super) fn accepted(&mut self, slot: usize, number: u64, payload: u8) {
        self.number(slot, number, payload);
    }

    fn number(&mut self, sender: usize, number: u64, payload: u8) {
        let numbers = &mut self.each[sender].numbers;
        let at = number as usize - 1;
        numbers.resize(numbers.len().max(at + 1), None);
        if *numbers[at].get_or_insert(payload) != payload {
            self.is_wrong(Wrong::NumberReused);
        }
    }

    /// `slot` is told of a message, whose payload is the so-and-so-many-eth of `owner`.
    pub(super) fn delivered(
        &mut self,
        slot: usize,
        message: &Delivered<'_, u8>,
        owner: Option<(usize, u8)>,
    ) {
        let (payload, sender) = (*message.payload, message.sender.0 as usize - 1);
        let Some((_, nth)) =
            owner.filter(|(owner, nth)| *owner == sender && *nth < self.each[sender].asked)
        else {
            return self.is_wrong(Wrong::Created);
        };
        self.number(sender, message.sequence, payload);
        let told = &self.each[slot].told;
        let at = message.position as usize - 1;
        match told.get(at) {
            Some(earlier) if *earlier == payload => self.redelivered = true,
            Some(_) => self.is_wrong(Wrong::OrderChanged),
            None if at > told.len() => self.is_wrong(Wrong::OrderChanged),
            None if told.contains(&payload) => self.is_wrong(Wrong::Twice),
            None => {
                let causes = self.each[sender].causes[usize::from(nth)];
                if causes & !set(told) != 0 {
                    self.is_wrong(Wrong::CauseMissing);
                }
                // Payloads of one sender grow.
                let later = u16::MAX << payload & self.of(sender, payload, nth);
                if set(&self.each[slot].told) & later != 0 {
                    self.is_wrong(Wrong::OutOfOrder);
                }
                self.each[slot].told.push(payload);
            }
        }
    }

    /// All payloads that `sender` has broadcast, of which `payload` is the `nth`.
    fn of(&self, sender: usize, payload: u8, nth: u8) -> u16 {
        let first = payload - nth;
        let count = u32::from(self.each[sender].asked);
        (((1_u32 << count) - 1) << first) as u16
    }

    fn is_wrong(&mut self, wrong: Wrong) {
        if !self.wrong.contains(&wrong) {
            self.wrong.push(wrong);
        }
    }

    pub(super) fn never(&self, wrong: Wrong) -> bool {
        !self.wrong.contains(&wrong)
    }

    /// Whether something was delivered again.
    pub(super) fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// Whether two applications were told of two messages in different orders.
    pub(super) fn orders_differ(&self) -> bool {
        let mut all = self.each.iter();
        all.clone().any(|one| {
            let place = |payload: &u8| one.told.iter().position(|told| told == payload);
            all.any(|other| {
                let places: Vec<usize> = other.told.iter().filter_map(place).collect();
                !places.is_sorted()
            })
        })
    }

    /// Whether a message was caused by another of another sender.
    pub(super) fn has_answer(&self) -> bool {
        let answers = |application: &Application| {
            let all = set(&application
                .numbers
                .iter()
                .flatten()
                .copied()
                .collect::<Vec<_>>());
            application.causes.iter().any(|causes| causes & !all != 0)
        };
        self.each.iter().any(answers)
    }

    /// Whether every application was told everything that is known to be broadcast.
    pub(super) fn all_told(&self) -> bool {
        let numbers = self
            .each
            .iter()
            .flat_map(|application| &application.numbers);
        let known: Vec<u8> = numbers.flatten().copied().collect();
        self.sets().all(|told| set(&known) & !told == 0)
    }

    /// What each application was told, as sets.
    pub(super) fn sets(&self) -> impl Iterator<Item = u16> {
        self.each.iter().map(|application| set(&application.told))
    }
}

fn set(payloads: &[u8]) -> u16 {
    payloads.iter().fold(0, |set, payload| set | 1 << payload)
}
