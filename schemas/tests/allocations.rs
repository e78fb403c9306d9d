//! What the decoders allocate: little for an event, and never what a hostile length declares.
//!
//! A test binary of its own, because the allocator is the process's.
#![allow(unsafe_code)] // an allocator is unsafe by its interface; this one only counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use chrono::DateTime;
use schemas::evolution::WriterSchema;
use schemas::{Canal, DepotEffectue, Event, EventType};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        LARGEST.set(LARGEST.get().max(layout.size()));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes, and the size of the largest.
fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    COUNT.set(0);
    LARGEST.set(0);
    let value = work();
    (value, COUNT.get(), LARGEST.get())
}

fn depot() -> (Event, Vec<u8>) {
    let event = Event::from(DepotEffectue {
        event_id: "0198c5a0-7e1b-7c44-9d1a-3f5b8e2d6a01".into(),
        timestamp: DateTime::UNIX_EPOCH,
        compte_id: "compte-1".into(),
        montant: rust_decimal::Decimal::new(25_000, 2),
        devise: "EUR".into(),
        reference: "DEP-2026-000001".into(),
        canal: Canal::Carte,
        metadata: None,
    });
    let mut body = Vec::new();
    event.encode(&mut body);
    (event, body)
}

#[test]
fn an_event_takes_one_allocation_per_string() {
    let (event, body) = depot();
    let (read, count, _) = allocations(|| Event::decode(EventType::DepotEffectue, &body));
    assert_eq!(read, Ok(event.clone()));
    assert_eq!(count, 4);
    let (_, count, _) = allocations(|| schemas::wire::frame(1, &event));
    assert_eq!(count, 1);
}

/// Replaces each byte in turn by a length of 2^40 and reads.
fn largest_allocation(schema: &WriterSchema, body: &[u8]) -> usize {
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    let bodies = (0..body.len()).map(|at| [&body[..at], &huge, &body[at + 1..]].concat());
    let event_type = EventType::DepotEffectue;
    bodies
        .map(|body| allocations(|| schema.decode(event_type, &body)).2)
        .max()
        .expect("a body has bytes")
}

#[test]
fn a_huge_length_anywhere_allocates_nothing_large() {
    let (_, body) = depot();
    let schema = EventType::DepotEffectue.schema_json();
    let current = WriterSchema::new(schema).expect("our own schema");
    assert!(current.is_current(EventType::DepotEffectue));
    assert!(largest_allocation(&current, &body) < 1024);
    // The same by way of apache-avro, whose own tables are larger than an event.
    let newer = schema.replacen(
        "\"fields\": [",
        "\"fields\": [{\"name\": \"n\", \"type\": \"int\"},",
        1,
    );
    let newer = WriterSchema::new(&newer).expect("a schema with one more field");
    assert!(!newer.is_current(EventType::DepotEffectue));
    let body = [&[0], body.as_slice()].concat();
    assert!(newer.decode(EventType::DepotEffectue, &body).is_ok());
    assert!(largest_allocation(&newer, &body) < 64 * 1024);
}
