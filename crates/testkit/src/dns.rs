//! A DNS server that says what it is told to say, and counts what it is asked.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::echo::any;

const A: u16 = 1;
const AAAA: u16 = 28;

const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// A DNS server over UDP, of addresses alone. It serves until the process ends; names of which it was told nothing do
/// not exist.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<String, Says>,
    asked: HashMap<String, usize>,
    delay: Duration,
    v4_alone: bool,
}

#[derive(Debug, Clone)]
enum Says {
    Addresses(Vec<IpAddr>, u32),
    Failure,
    Silence,
}

impl Dns {
    /// On an address of the system's choice.
    ///
    /// # Panics
    /// The machine has no free port.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind(any()).expect("there is a free port");
        let address = { socket.local_addr() }.expect("a bound socket has an address");
        let state = Arc::<Mutex<State>>::default();
        let known = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 4096];
            while let Ok((read, peer)) = socket.recv_from(&mut buffer) {
                let Some(answer) = answer(&buffer[..read], &known) else {
                    continue;
                };
                let (socket, delay) = (socket.try_clone(), known.lock().delay);
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    // One that does not arrive is asked for again.
                    drop(socket.map(|socket| socket.send_to(&answer, peer)));
                });
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name has these addresses, for `ttl` seconds. None: it exists and has no address.
    ///
    /// # Panics
    /// An address is no address.
    pub fn says(&self, name: &str, addresses: &[&str], ttl: u32) {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        self.set(name, Says::Addresses(addresses.collect(), ttl));
    }

    /// From now on it cannot say anything about a name.
    pub fn fails(&self, name: &str) {
        self.set(name, Says::Failure);
    }

    /// From now on it does not answer when asked for a name.
    pub fn keeps_silent(&self, name: &str) {
        self.set(name, Says::Silence);
    }

    /// From now on a name does not exist.
    pub fn forgets(&self, name: &str) {
        self.state.lock().names.remove(name);
    }

    /// From now on each answer takes so long.
    pub fn takes(&self, delay: Duration) {
        self.state.lock().delay = delay;
    }

    /// From now on questions for addresses of IPv6 get no answer, as with some servers.
    pub fn answers_v4_alone(&self) {
        self.state.lock().v4_alone = true;
    }

    /// How often it was asked for the IPv4 addresses of a name, complete and without the last dot.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        self.state.lock().asked.get(name).copied().unwrap_or(0)
    }

    fn set(&self, name: &str, says: Says) {
        self.state.lock().names.insert(name.to_owned(), says);
    }
}

/// The answer to a question; `None`: there is none, or it is no question.
fn answer(message: &[u8], state: &Mutex<State>) -> Option<Vec<u8>> {
    let (name, kind, end) = question(message)?;
    let mut state = state.lock();
    if kind == A {
        *state.asked.entry(name.clone()).or_default() += 1;
    }
    if state.v4_alone && kind == AAAA {
        return None;
    }
    let (code, addresses, ttl) = match state.names.get(&name) {
        None => (NO_SUCH_NAME, &[][..], 0),
        Some(Says::Failure) => (SERVER_FAILURE, &[][..], 0),
        Some(Says::Silence) => return None,
        Some(Says::Addresses(addresses, ttl)) => (NO_ERROR, &addresses[..], *ttl),
    };
    let of_kind = |address: &&IpAddr| match kind {
        A => address.is_ipv4(),
        AAAA => address.is_ipv6(),
        _ => false,
    };
    let addresses: Vec<&IpAddr> = addresses.iter().filter(of_kind).collect();
    let count = u8::try_from(addresses.len()).expect("few addresses");
    // RFC 1035 section 4.1.1: the question's number, a recursive answer, one question, so many answers.
    let mut answer = message[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&message[12..end]);
    for address in addresses {
        let data = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        // The name of the question, at byte 12.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend([0, u8::try_from(data.len()).expect("an address is short")]);
        answer.extend(data);
    }
    Some(answer)
}

/// The name, the kind, and where the question ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
    let kind = message.get(at..at + 2)?;
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    message.get(at + 2..at + 4)?;
    Some((labels.join("."), kind, at + 4))
}
