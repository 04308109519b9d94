//! Lookups of names that are under way. Whoever wants to know the same waits for the same answer: a flood of client
//! addresses asks the DNS no more than one client does.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, rc::Rc};

use ir::Endpoint;
use tokio::sync::OnceCell;

use crate::error::ProxyError;

type Answer = Result<SocketAddr, ProxyError>;

/// A worker's lookups for a port.
#[derive(Default)]
pub(super) struct Lookups(RefCell<HashMap<Endpoint, Rc<OnceCell<Answer>>>>);

/// Somebody who waits for one; the last to leave takes it along.
struct Joined<'a> {
    lookups: &'a Lookups,
    endpoint: &'a Endpoint,
    lookup: Rc<OnceCell<Answer>>,
}

impl Lookups {
    /// Waits for the lookup that is under way, or else for this one. If whoever has asked leaves, the next one asks.
    pub(super) async fn join(
        &self,
        endpoint: &Endpoint,
        ask: impl Future<Output = Answer>,
    ) -> Answer {
        let lookup = {
            let mut lookups = self.0.borrow_mut();
            Rc::clone(lookups.entry(endpoint.clone()).or_default())
        };
        let joined = Joined {
            lookups: self,
            endpoint,
            lookup,
        };
        *joined.lookup.get_or_init(|| ask).await
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        // One is the table's.
        if Rc::strong_count(&self.lookup) == 2 {
            self.lookups.0.borrow_mut().remove(self.endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending, net::SocketAddr};

    use ir::Endpoint;

    use super::{Answer, Lookups};

    #[test]
    fn who_asks_meanwhile_gets_the_same_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let lookups = Lookups::default();
        let asked = Cell::new(0_u16);
        let name = |host: &str| Endpoint::Name {
            host: host.into(),
            port: 53,
        };
        let ask = || async {
            asked.set(asked.get() + 1);
            let at = asked.get();
            tokio::task::yield_now().await;
            Answer::Ok(SocketAddr::from(([192, 0, 2, 1], at)))
        };
        let (a, b) = (name("a"), name("b"));
        runtime.block_on(async {
            let both = tokio::join!(lookups.join(&a, ask()), lookups.join(&a, ask()));
            assert_eq!((both.0, asked.get()), (both.1, 1));
            let both = tokio::join!(lookups.join(&a, ask()), lookups.join(&b, ask()));
            assert!(both.0 != both.1 && asked.get() == 3, "nothing is kept");
            // The first leaves before it has an answer.
            let leaving = async {
                tokio::select! {
                    biased;
                    answer = lookups.join(&a, pending()) => answer.map(drop),
                    () = tokio::task::yield_now() => Ok(()),
                }
            };
            let answers = tokio::join!(leaving, lookups.join(&a, ask()));
            assert!(answers.1.is_ok() && asked.get() == 4);
        });
        assert!(lookups.0.borrow().is_empty());
    }
}
