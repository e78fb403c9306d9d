//! The accounts that one generator opened, and about how much is on each.
//!
//! Balances are an estimate: bancaire alone knows the truth, and this service never asks it. A
//! credit therefore counts only after a while (the *settling time*, a number of events), because
//! bancaire reads each topic at its own pace, and a withdrawal that overtakes the deposit it
//! relies on would be refused.

use std::collections::VecDeque;

use uuid::Uuid;

/// Accounts kept at once. Beyond it new accounts are still opened but not acted on, so that a
/// simulation without end does not grow.
pub const CAPACITY: usize = 100_000;

/// An account's place in the book.
pub type Slot = u32;

/// One account that was opened here.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub compte_id: Uuid,
    pub client_id: Uuid,
    /// The estimate, in cents, without what has not settled yet.
    pub solde: i64,
    /// Its place among the active ones; `None` while it is being opened or closed.
    active_at: Option<u32>,
}

/// An opening that was sent; its account is used once the broker acknowledged it.
#[derive(Debug)]
struct Opening {
    account: Account,
    due: u64,
    /// `None` until the broker answered.
    acked: Option<bool>,
}

/// Money under way to an account, or an account on its way out.
#[derive(Debug)]
struct Later<T> {
    due: u64,
    what: T,
}

/// See the module's text. Times are counted in events, so that the same seed does the same.
#[derive(Debug, Default)]
pub struct Book {
    slots: Vec<Account>,
    free: Vec<Slot>,
    active: Vec<Slot>,
    openings: VecDeque<Opening>,
    /// How many openings have left the front of `openings`.
    openings_done: u64,
    credits: VecDeque<Later<(Slot, Uuid, i64)>>,
    to_empty: VecDeque<Later<Slot>>,
    to_close: VecDeque<Later<Slot>>,
}

impl Book {
    /// Accounts that events may concern now.
    pub fn active(&self) -> &[Slot] {
        &self.active
    }

    /// Accounts of any state, those being opened included.
    pub fn count(&self) -> usize {
        self.slots.len() - self.free.len() + self.openings.len()
    }

    pub fn is_full(&self) -> bool {
        self.count() >= CAPACITY
    }

    /// Openings that the broker has not answered for yet.
    pub fn is_opening(&self) -> bool {
        !self.openings.is_empty()
    }

    pub fn account(&self, slot: Slot) -> &Account {
        &self.slots[slot as usize]
    }

    /// Notes an opening that was sent. The number is for [`Book::answered`].
    pub fn open(&mut self, compte_id: Uuid, client_id: Uuid, solde: i64, due: u64) -> u64 {
        self.openings.push_back(Opening {
            account: Account {
                compte_id,
                client_id,
                solde,
                active_at: None,
            },
            due,
            acked: None,
        });
        self.openings_done + self.openings.len() as u64 - 1
    }

    /// The broker's answer to an opening.
    pub fn answered(&mut self, opening: u64, acked: bool) {
        let index = opening.checked_sub(self.openings_done);
        if let Some(opening) = index.and_then(|i| self.openings.get_mut(i as usize)) {
            opening.acked = Some(acked);
        }
    }

    /// Takes into account what is due by now: acknowledged openings and settled credits.
    pub fn settle(&mut self, now: u64) {
        while let Some(opening) = self.openings.front() {
            let Some(acked) = opening.acked.filter(|_| opening.due <= now) else {
                break;
            };
            let account = opening.account;
            self.openings.pop_front();
            self.openings_done += 1;
            if acked {
                self.add(account);
            }
        }
        while let Some(Later { what, .. }) = self.credits.pop_front_if(|c| c.due <= now) {
            let (slot, compte_id, cents) = what;
            let account = &mut self.slots[slot as usize];
            // The place may have gone to another account meanwhile.
            if account.compte_id == compte_id {
                account.solde += cents;
            }
        }
    }

    /// Adds an account that exists.
    fn add(&mut self, account: Account) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = account;
                slot
            }
            None => {
                self.slots.push(account);
                (self.slots.len() - 1) as Slot
            }
        };
        self.slots[slot as usize].active_at = Some(self.active.len() as u32);
        self.active.push(slot);
    }

    pub fn credit(&mut self, slot: Slot, cents: i64, due: u64) {
        let what = (slot, self.account(slot).compte_id, cents);
        self.credits.push_back(Later { due, what });
    }

    /// Takes money off at once: a debit that is refused leaves more on the account than the
    /// estimate says, never less.
    pub fn debit(&mut self, slot: Slot, cents: i64) {
        let account = &mut self.slots[slot as usize];
        account.solde = (account.solde - cents).max(0);
    }

    /// Stops using an account; from `due` on it can be emptied.
    pub fn retire(&mut self, slot: Slot, due: u64) {
        if self.deactivate(slot) {
            self.to_empty.push_back(Later { due, what: slot });
        }
    }

    /// Drops an account that still exists, to make room for another.
    pub fn forget(&mut self, slot: Slot) {
        if self.deactivate(slot) {
            self.free.push(slot);
        }
    }

    fn deactivate(&mut self, slot: Slot) -> bool {
        let Some(at) = self.slots[slot as usize].active_at.take() else {
            return false;
        };
        self.active.swap_remove(at as usize);
        if let Some(moved) = self.active.get(at as usize) {
            self.slots[*moved as usize].active_at = Some(at);
        }
        true
    }

    /// A retired account whose last credits have settled.
    pub fn next_to_empty(&mut self, now: u64) -> Option<Slot> {
        self.to_empty.pop_front_if(|a| a.due <= now).map(|a| a.what)
    }

    /// Notes that an account was emptied; from `due` on it can be closed.
    pub fn emptied(&mut self, slot: Slot, due: u64) {
        self.slots[slot as usize].solde = 0;
        self.to_close.push_back(Later { due, what: slot });
    }

    /// An empty account, which leaves the book.
    pub fn next_to_close(&mut self, now: u64) -> Option<Account> {
        let slot = self.to_close.pop_front_if(|a| a.due <= now)?.what;
        self.free.push(slot);
        Some(self.slots[slot as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(book: &mut Book, solde: i64) -> Slot {
        let opening = book.open(Uuid::new_v4(), Uuid::new_v4(), solde, 0);
        book.answered(opening, true);
        book.settle(0);
        *book.active().last().unwrap()
    }

    #[test]
    fn an_account_is_used_once_its_opening_was_acknowledged_and_is_due() {
        let mut book = Book::default();
        let openings: Vec<u64> = (0..3)
            .map(|due| book.open(Uuid::new_v4(), Uuid::new_v4(), 100, due))
            .collect();
        book.settle(10);
        assert!(book.active().is_empty(), "none was acknowledged");
        book.answered(openings[1], true);
        book.settle(10);
        assert!(book.active().is_empty(), "the order of openings is kept");
        book.answered(openings[0], false);
        book.answered(openings[2], true);
        book.settle(1);
        assert_eq!(book.active().len(), 1, "one failed, one is not due");
        book.settle(2);
        assert_eq!(book.active().len(), 2);
        assert!(!book.is_opening());
        let late = book.open(Uuid::new_v4(), Uuid::new_v4(), 100, 0);
        book.answered(late, true);
        book.settle(2);
        assert_eq!(book.count(), 3);
    }

    #[test]
    fn credits_count_when_they_have_settled() {
        let mut book = Book::default();
        let slot = opened(&mut book, 100);
        book.credit(slot, 50, 5);
        book.debit(slot, 30);
        book.settle(4);
        assert_eq!(book.account(slot).solde, 70);
        book.settle(5);
        assert_eq!(book.account(slot).solde, 120);
    }

    #[test]
    fn an_account_leaves_in_three_steps_and_its_place_is_used_again() {
        let mut book = Book::default();
        let slots: Vec<Slot> = (0..4).map(|i| opened(&mut book, i)).collect();
        let leaving = *book.account(slots[1]);
        book.retire(slots[1], 5);
        book.retire(slots[1], 5);
        assert_eq!(book.active().len(), 3);
        assert!(!book.active().contains(&slots[1]));
        // A credit that is still under way when the place changes hands is not the newcomer's.
        book.credit(slots[1], 1_000, 100);
        assert_eq!(book.next_to_empty(4), None);
        assert_eq!(book.next_to_empty(5), Some(slots[1]));
        assert_eq!(book.next_to_empty(5), None);
        book.emptied(slots[1], 7);
        assert!(book.next_to_close(6).is_none());
        assert_eq!(book.next_to_close(7).unwrap().compte_id, leaving.compte_id);
        assert_eq!(book.count(), 3);
        let newcomer = opened(&mut book, 9);
        assert_eq!(newcomer, slots[1]);
        book.settle(100);
        assert_eq!(book.account(newcomer).solde, 9);
        for slot in slots {
            book.forget(slot);
            book.forget(slot);
        }
        assert_eq!((book.active().len(), book.count()), (0, 0));
    }
}
