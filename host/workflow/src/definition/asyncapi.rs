//! `call: asyncapi` as a definition writes it: [`crate::asyncapi`] with templates.

use std::time::Duration;

use super::authentication::Authentication;
use super::listen::Foreach;
use super::outbound::Endpoint;
use crate::asyncapi::Protocol;
use crate::expression::{Expression, Template};

#[derive(Debug, Clone)]
pub struct AsyncApiOutbound {
    pub document: Endpoint,
    pub target: TargetOutbound,
    pub server: Option<ServerOutbound>,
    pub protocol: Option<Protocol>,
    pub exchange: ExchangeOutbound,
    pub authentication: Option<Authentication>,
}

#[derive(Debug, Clone)]
pub enum TargetOutbound {
    Operation(Template),
    Channel(Template),
}

#[derive(Debug, Clone)]
pub struct ServerOutbound {
    pub name: Template,
    /// A mapping.
    pub variables: Option<Template>,
}

#[derive(Debug, Clone)]
pub enum ExchangeOutbound {
    Publish {
        payload: Option<Template>,
        /// A mapping, or an expression that gives one.
        headers: Option<Template>,
    },
    Subscribe(Box<SubscriptionOutbound>),
}

#[derive(Debug, Clone)]
pub struct SubscriptionOutbound {
    pub filter: Option<Expression>,
    pub consume: ConsumeOutbound,
    /// `consume.for`.
    pub time: Option<Duration>,
    pub foreach: Option<Foreach>,
}

#[derive(Debug, Clone)]
pub enum ConsumeOutbound {
    Amount(u64),
    While(Expression),
    Until(Expression),
}

impl AsyncApiOutbound {
    pub(super) fn templates(&self) -> Vec<&Template> {
        let (TargetOutbound::Operation(target) | TargetOutbound::Channel(target)) = &self.target;
        let server = self.server.iter().flat_map(|server| [&server.name].into_iter().chain(&server.variables));
        let message = match &self.exchange {
            ExchangeOutbound::Publish { payload, headers } => [payload, headers].into_iter().flatten().collect(),
            ExchangeOutbound::Subscribe(_) => Vec::new(),
        };
        let authentication = self.authentication.iter().flat_map(Authentication::templates);
        [target]
            .into_iter()
            .chain(server)
            .chain(message)
            .chain(self.document.templates())
            .chain(authentication)
            .collect()
    }

    pub fn subscription(&self) -> Option<&SubscriptionOutbound> {
        match &self.exchange {
            ExchangeOutbound::Publish { .. } => None,
            ExchangeOutbound::Subscribe(subscription) => Some(subscription),
        }
    }
}

impl SubscriptionOutbound {
    /// The conditions by their places below `with.subscription`.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        let filter = self.filter.iter().map(|filter| ("filter", filter));
        let consume = match &self.consume {
            ConsumeOutbound::Amount(_) => None,
            ConsumeOutbound::While(condition) => Some(("consume/while", condition)),
            ConsumeOutbound::Until(condition) => Some(("consume/until", condition)),
        };
        filter.chain(consume)
    }
}
