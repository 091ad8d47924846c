//! The attempts of one call. The SDK repeats a call by itself and gives back the answer to the last attempt alone. That one can be
//! refused, for its quota, say, after an attempt that nobody has heard of has done what the call asks for.

use std::cell::Cell;
use std::future::Future;

use aws_sdk_ec2::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// What is known of the attempts so far.
#[derive(Default)]
struct Known {
    /// The present attempt has left for AWS.
    is_sent: Cell<bool>,
    /// AWS has got an attempt, perhaps, and has not said what became of it.
    is_unsure: Cell<bool>,
}

tokio::task_local! {
    static KNOWN: Known;
}

/// Makes a call. Its answer is given back with whether an attempt may have done what it asks for, whatever the answer says.
pub(super) async fn watched<T>(call: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let answer = call.await;
        (answer, KNOWN.with(|known| known.is_unsure.get()))
    };
    KNOWN.scope(Known::default(), watched).await
}

/// Notes the attempts of a client's calls that were sent and not answered, or with an error of AWS's own (5xx, as EC2 throttles, too).
#[derive(Debug)]
pub(super) struct Attempts;

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Outside of a call that is watched, nobody asks.
        let _ = KNOWN.try_with(|known| known.is_sent.set(true));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let tells = context.response().is_some_and(|response| !response.status().is_server_error());
        let _ = KNOWN.try_with(|known| {
            if known.is_sent.take() && !tells {
                known.is_unsure.set(true);
            }
        });
        Ok(())
    }
}
