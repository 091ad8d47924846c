//! ClientTokens: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>.

use jiff::Timestamp;

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::agenda::after;

/// A ClientToken that was seen: what it asked for, what it made, and when.
#[derive(Debug)]
pub(crate) struct Token {
    asked: String,
    made: Vec<String>,
    at: Timestamp,
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>.
const MAX_TOKEN: usize = 64;
const MAX_LONG_TOKEN: usize = 128;
/// The operations that take longer ones:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html>.
const LONG: [&str; 5] = [
    "CopyImage",
    "CreateImageUsageReport",
    "CreateLaunchTemplate",
    "CreateLaunchTemplateVersion",
    "ModifyLaunchTemplate",
];

impl World {
    /// The ids of what an earlier call of the operation with the same token made. The same token with other parameters
    /// is refused; one that is older than tokens are kept is new.
    pub(crate) fn remembered(
        &self,
        cx: &Context,
        operation: &str,
        token: Option<&str>,
        asked: &str,
    ) -> Result<Option<Vec<String>>, ApiError> {
        let Some(token) = token else {
            return Ok(None);
        };
        check(operation, token)?;
        let holdings = self.region(cx)?.accounts.get(&cx.account);
        let seen = holdings.and_then(|holdings| holdings.tokens.get(&key(operation, token))).filter(|seen| {
            let life = self.config.token_life;
            life.is_none_or(|life| cx.now < after(seen.at, life))
        });
        match seen {
            Some(seen) if seen.asked != asked => Err(mismatch()),
            seen => Ok(seen.map(|seen| seen.made.clone())),
        }
    }

    /// Keeps what a token has made.
    pub(crate) fn remember(
        &mut self,
        cx: &Context,
        operation: &str,
        token: Option<&str>,
        asked: String,
        made: Vec<String>,
    ) -> Result<(), ApiError> {
        if let Some(token) = token {
            let at = cx.now;
            let seen = Token { asked, made, at };
            let tokens = &mut self.region_mut(cx)?.holdings(&cx.account).tokens;
            tokens.insert(key(operation, token), seen);
        }
        Ok(())
    }
}

/// Refuses a token that the operation does not take.
pub(crate) fn check(operation: &str, token: &str) -> Result<(), ApiError> {
    let most = if LONG.contains(&operation) { MAX_LONG_TOKEN } else { MAX_TOKEN };
    if token.len() > most || !token.is_ascii() {
        let message = format!("The client token must be ASCII and no longer than {most} characters");
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

/// Tokens of different operations do not meet.
fn key(operation: &str, token: &str) -> String {
    format!("{operation} {token}")
}

/// What a token is answered whose volume is gone.
pub(crate) fn gone() -> ApiError {
    ApiError::new(
        "IdempotentParameterMismatch",
        "The client token you have provided is associated with a resource that is already deleted. Please use a \
         different client token.",
    )
}

pub(crate) fn mismatch() -> ApiError {
    ApiError::new(
        "IdempotentParameterMismatch",
        "The client token you have provided is already in use with different parameters",
    )
}
