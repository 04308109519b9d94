//! The target of a request.

use http::uri::PathAndQuery;

/// A request target of path and query. Both are legal here; were they not, the path alone is tried, then `/`.
#[must_use]
pub(crate) fn path_and_query(path: &str, query: Option<&str>) -> PathAndQuery {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::try_from(text)
        .or_else(|_| PathAndQuery::try_from(path))
        .unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::path_and_query;

    #[test]
    fn a_query_follows_its_path() {
        assert_eq!(path_and_query("/a", Some("b=c")).as_str(), "/a?b=c");
        assert_eq!(path_and_query("/a", None).as_str(), "/a");
    }
}
