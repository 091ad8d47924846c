//! Faults: what may happen to a request instead of an answer.

use std::time::Duration;

use jiff::Timestamp;

use crate::request::RequestInfo;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Pass,
    /// The connection breaks before the server has it.
    DropBefore,
    /// It is carried out, and the answer is lost. A read or a watch is lost as with [`Verdict::DropBefore`].
    DropAfterCommit,
    /// It arrives that much later.
    Delay(Duration),
    /// It is carried out at once, and answered that much later.
    DelayReply(Duration),
    /// It is refused with this HTTP status, and not carried out.
    Fail(u16),
    /// A get or list is answered from so many changes ago. Other requests pass.
    StaleRead(u64),
}

/// Decides what happens to each request, in the order in which they come.
pub type Hook = Box<dyn FnMut(&RequestInfo) -> Verdict + Send>;

/// A request that came, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it came.
    pub at: Timestamp,
    /// What it asked for.
    pub request: RequestInfo,
    /// What the faults did to it.
    pub verdict: Verdict,
    /// The HTTP status of the answer, whether or not it arrived; `None` if the server did not see the request.
    pub code: Option<u16>,
    /// Whether it changed anything.
    pub changed: bool,
    /// Whether it says which version of the object it means to change, or of what it changes there, so that a later one is not
    /// written over.
    pub versioned: bool,
}
