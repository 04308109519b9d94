//! What connections to backends need of the worker that they belong to.

use std::{cell::RefCell, sync::Arc};

use super::pool::Pool;
use crate::{
    config::Config,
    net::{clock::Clock, own::Own},
};

/// The settings, clock and connections of one worker, as far as backends are concerned. It never leaves its thread.
pub(crate) struct Context {
    pub(super) config: Arc<Config>,
    pub(super) clock: Clock,
    pub(super) pool: RefCell<Pool>,
    /// Where this process listens; shared with the other workers.
    pub(super) own: Arc<Own>,
}

impl Context {
    /// Without connections yet.
    pub(crate) fn new(config: Arc<Config>, clock: Clock, own: Arc<Own>) -> Self {
        Self {
            config,
            clock,
            pool: RefCell::default(),
            own,
        }
    }

    /// Drops connections that are closed or have been idle for too long.
    pub(crate) fn sweep(&self) {
        self.pool.borrow_mut().sweep(self.clock.now(), &self.config);
    }
}
