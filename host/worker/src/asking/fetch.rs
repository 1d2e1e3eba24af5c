//! A plain request to a granted origin.

use calls::{Fetch, NotFetched};
use plugin_host::{Denial, HostCallError, HttpMethod, HttpRequest, HttpResponse};
use workflow::{HttpOrigin, Origin};

use crate::host_calls::Side;

impl Side {
    /// An answer of any status is an answer. Its grant was looked at before; the
    /// operator's own list is looked at here, as for every call that leaves the host.
    pub(crate) async fn fetch(&self, asked: HttpRequest) -> Result<HttpResponse, HostCallError> {
        self.hands.redacted("").map_err(|outcome| self.end(outcome))?;
        let granted: Option<Origin> = HttpOrigin::of_url(&asked.url).and_then(|origin| origin.as_str().parse().ok());
        let Some(granted) = granted else {
            return Err(HostCallError::Invalid(format!("`{}` is no URL that this host can ask", asked.url)));
        };
        let method = match asked.method {
            HttpMethod::Get => "GET",
            HttpMethod::Head => "HEAD",
        };
        let fetch = Fetch { method, url: &asked.url, headers: &asked.headers, body_bytes_max: asked.body_bytes_max };
        let fetched = self.hands.client.fetch(fetch, &granted).await;
        let fetched = fetched.map_err(|error| self.not_fetched(&asked.url, error))?;
        let clean = |text: &str| self.hands.redacted(text).map_err(|outcome| self.end(outcome));
        let headers: Result<Vec<_>, _> =
            fetched.headers.iter().map(|(name, value)| Ok((name.clone(), clean(value)?))).collect();
        let body = self.hands.redacted_bytes(fetched.body).map_err(|outcome| self.end(outcome))?;
        Ok(HttpResponse { status: fetched.status, headers: headers?, body })
    }

    fn not_fetched(&self, url: &str, error: NotFetched) -> HostCallError {
        match error {
            NotFetched::Invalid(detail) => HostCallError::Invalid(detail),
            NotFetched::Refused(reason) => HostCallError::Denied(Denial::new("http", url, reason)),
            NotFetched::TooLarge { max } => {
                let text = format!("`{url}` answers with more than {max} bytes, which is what is left to receive");
                HostCallError::Quota(text)
            }
            NotFetched::Unavailable(detail) => HostCallError::Unavailable(detail),
        }
    }
}
