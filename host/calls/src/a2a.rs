//! `call: a2a`: one request to an agent.

use serde_json::Value;
use workflow::calls::{A2aCall, Agent, CallEndpoint, class_of_rpc};

use crate::rpc::Peer;
use crate::session::{Failure, Session, configuration};

pub(crate) async fn call(session: &Session<'_>, call: &A2aCall) -> Result<Value, Failure> {
    let endpoint = match &call.agent {
        Agent::Server(endpoint) => endpoint.clone(),
        Agent::Card(card) => {
            let (document, url) = session.document(card).await?;
            let named = document["url"].as_str().ok_or_else(|| configuration("the agent's card has no `url`"))?;
            let uri = match &url {
                Some(url) => url.join(named).map(String::from),
                None => url::Url::parse(named).map(String::from),
            };
            let uri = uri.map_err(|_| configuration("the `url` of the agent's card is no URL"))?;
            // Who may read the card may not be who may ask the agent elsewhere.
            let same = url.is_some_and(|url| url::Url::parse(&uri).is_ok_and(|there| there.origin() == url.origin()));
            CallEndpoint { uri, authentication: card.authentication.clone().filter(|_| same) }
        }
    };
    let mut peer = Peer::new(session, &endpoint, &[])?;
    let is_stream = matches!(call.method.as_str(), "message/stream" | "tasks/resubscribe");
    let question = (1, call.method.as_str(), &call.parameters);
    let mut replies = peer.ask(session, question, class_of_rpc(&call.method), is_stream).await?;
    Ok(if is_stream { replies.results.into() } else { replies.results.pop().unwrap_or_default() })
}
