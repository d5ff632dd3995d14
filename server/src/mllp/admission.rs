//! How many connections there may be, and how much they may hold together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::limits::Limits;

/// What is under way is counted in pieces of so many bytes.
const PIECE: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Admission {
    connections_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
    /// Room for what is under way, in pieces.
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Room for some bytes, given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Room {
    pieces: usize,
    held: Option<Arc<Semaphore>>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let pieces = limits.mllp_bytes_under_way_max / PIECE;
        Arc::new(Self {
            connections_max: limits.mllp_connections_max,
            per_address_max: limits.mllp_connections_per_address_max,
            open: Mutex::default(),
            room: Arc::new(Semaphore::new(pieces.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// None: there are too many already.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.lock();
        let all = open.all;
        let of_address = open.by_address.entry(address).or_default();
        if all >= self.connections_max || *of_address >= self.per_address_max {
            return None;
        }
        *of_address += 1;
        open.all += 1;
        drop(open);
        Some(Place {
            admission: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.all -= 1;
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl Room {
    /// Waits until there is room for so many bytes in all.
    pub(super) async fn grow(&mut self, admission: &Admission, bytes: usize) {
        let wanted = bytes.div_ceil(PIECE);
        let Some(more) = wanted.checked_sub(self.pieces).filter(|more| *more > 0) else {
            return;
        };
        let count = u32::try_from(more).unwrap_or(u32::MAX);
        // It is never closed.
        if let Ok(permit) = admission.room.acquire_many(count).await {
            permit.forget();
            self.pieces += more;
            self.held = Some(Arc::clone(&admission.room));
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.add_permits(self.pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_and_room_come_back() {
        let limits = Limits {
            mllp_connections_max: 3,
            mllp_connections_per_address_max: 2,
            mllp_bytes_under_way_max: 4 * PIECE,
            ..Limits::default()
        };
        let admission = Admission::new(&limits);
        let address = |last| IpAddr::from([127, 0, 0, last]);
        let first = admission.place(address(1)).unwrap();
        let _second = admission.place(address(1)).unwrap();
        assert!(admission.place(address(1)).is_none());
        let _third = admission.place(address(2)).unwrap();
        assert!(admission.place(address(3)).is_none());
        drop(first);
        assert!(admission.place(address(1)).is_some());
        assert_eq!(admission.lock().all, 2);

        let mut room = Room::default();
        room.grow(&admission, 3 * PIECE).await;
        room.grow(&admission, PIECE).await;
        assert_eq!(admission.room.available_permits(), 1);
        drop(room);
        assert_eq!(admission.room.available_permits(), 4);
    }
}
