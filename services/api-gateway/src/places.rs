//! Requests under way: so many in all, and so many of one caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rate::Key;

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Of all callers together.
    pub all: u32,
    /// Of one user or address: whoever sends slowly must not take every place.
    pub each: u32,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// This caller has as many as one may have.
    Caller,
}

/// The places, counted in this process alone; cheap to clone.
#[derive(Clone)]
pub struct Places {
    most: Most,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: u32,
    each: HashMap<Key, u32>,
}

impl Places {
    pub fn new(most: Most) -> Places {
        Places {
            most,
            taken: Arc::default(),
        }
    }

    /// Takes a place, which is free again when the answer is dropped.
    pub fn take(&self, key: Key) -> Result<Place, Full> {
        let mut taken = self.taken();
        let own = taken.each.get(&key).copied().unwrap_or_default();
        if own >= self.most.each {
            return Err(Full::Caller);
        }
        if taken.all >= self.most.all {
            return Err(Full::All);
        }
        taken.all += 1;
        taken.each.insert(key, own + 1);
        drop(taken);
        Ok(Place {
            places: self.clone(),
            key,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
pub struct Place {
    places: Places,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        match taken.each.get_mut(&self.key) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.each.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_take_every_place_and_nobody_is_remembered_who_has_none() {
        let places = Places::new(Most { all: 3, each: 2 });
        let key = |text: &str| Key::address(text.parse().ok());
        let (slow, other) = (key("192.0.2.1"), key("192.0.2.2"));
        let held = [places.take(slow), places.take(slow)];
        assert_eq!(places.take(slow).err(), Some(Full::Caller));
        let last = places.take(other);
        assert!(last.is_ok());
        assert_eq!(places.take(key("192.0.2.3")).err(), Some(Full::All));
        drop((held, last));
        assert!(places.taken().each.is_empty());
        assert_eq!(places.taken().all, 0);
    }
}
