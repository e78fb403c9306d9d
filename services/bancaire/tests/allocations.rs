//! How often one event allocates on its way through decoder and fold. At 50,000 events a second
//! the allocator is among what they spend most time in, and an innocent `clone` doubles it.
//!
//! One test alone in its binary, so that nothing else allocates meanwhile.

#[path = "../benches/deposits.rs"]
mod deposits;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bancaire::domain::{Input, Known, fold};
use schemas::evolution::WriterSchema;
use schemas::{EventType, wire};

/// The system's, with a count.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)] // the trait itself is; every call is passed on as it came
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let result = work();
    (result, ALLOCATIONS.load(Ordering::Relaxed) - before)
}

const EVENTS: usize = 5_000;
const ACCOUNTS: usize = 1_000;

#[test]
fn an_event_allocates_little() {
    let deposits = deposits::deposits(EVENTS, ACCOUNTS);
    let schema = WriterSchema::new(EventType::DepotEffectue.schema_json()).expect("our own schema");

    // A string each for the event's id, account, currency and reference, and nothing else.
    let (_, body) = wire::parse(&deposits[0].1).expect("it was framed");
    let (decoded, allocations) = count(|| schema.decode(EventType::DepotEffectue, body));
    assert_eq!(decoded.as_ref(), Ok(&deposits[0].0));
    assert!(
        allocations <= 4,
        "{allocations} allocations to decode an event"
    );
    assert!(allocations > 0, "the count counts");

    // Tables that grow, a few entries per account; nothing per event.
    let batch = deposits::batch(&deposits);
    let (comptes, known) = (deposits::comptes(ACCOUNTS), Known::default());
    let input = Input {
        records: &batch.records,
        spans: &batch.spans,
        comptes: &comptes,
        parked: &[],
        known: &known,
    };
    let (outcome, allocations) = count(|| fold(&input));
    assert_eq!(outcome.ledger.len(), EVENTS);
    assert!(
        allocations < EVENTS / 20,
        "{allocations} allocations to fold {EVENTS} events"
    );
}
