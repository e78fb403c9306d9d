//! Schemas by id: an id's schema never changes, so what was read once is not asked for again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::reference::Reference;

/// Enough for thousands of usual schemas, and small beside the process.
const CAPACITY_BYTES: usize = 8 * 1024 * 1024;

/// A schema's text, what it refers to, and its fingerprint, which serves as its ETag.
#[derive(Debug, Clone)]
pub struct CachedSchema {
    pub text: Arc<str>,
    pub references: Arc<[Reference]>,
    pub fingerprint: Arc<str>,
}

#[derive(Default)]
pub(super) struct Cache {
    by_id: HashMap<i32, CachedSchema>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, id: i32) -> Option<CachedSchema> {
        self.by_id.get(&id).cloned()
    }

    /// Forgets everything when full: what is in use is back after one question each.
    pub(super) fn insert(&mut self, id: i32, schema: CachedSchema) {
        let size = schema.text.len();
        if self.bytes + size > CAPACITY_BYTES {
            self.by_id.clear();
            self.bytes = 0;
        }
        if self.by_id.insert(id, schema).is_none() {
            self.bytes += size;
        }
    }

    /// For ids that a hard delete took away.
    pub(super) fn remove(&mut self, id: i32) {
        if let Some(schema) = self.by_id.remove(&id) {
            self.bytes -= schema.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_by_its_bytes() {
        let schema = |size: usize| CachedSchema {
            text: "x".repeat(size).into(),
            references: Arc::default(),
            fingerprint: "f".into(),
        };
        let mut cache = Cache::default();
        for id in 0..20 {
            cache.insert(id, schema(1024 * 1024));
            cache.insert(id, schema(1024 * 1024));
            assert!(cache.bytes <= CAPACITY_BYTES);
        }
        assert!(cache.get(19).is_some());
        assert!(cache.get(0).is_none());
        for id in 0..20 {
            cache.remove(id);
        }
        assert_eq!(cache.bytes, 0);
    }
}
