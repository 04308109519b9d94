use super::{InvalidTemplate, Piece, Place, Template, Variable};
use crate::Pattern;

fn filled(text: &str) -> Result<String, InvalidTemplate> {
    let template = Template::parse(text, None)?;
    Ok(template.fill(|variable, text| text.push_str(&format!("<{variable}>"))))
}

/// The places of the variables of a URL, by name.
fn places(text: &str) -> Vec<(String, Place)> {
    let groups = Pattern::in_path("^/(.)(?<rest>.*)").unwrap();
    let template = Template::location(text, Some(&groups)).unwrap();
    let named = template.pieces().iter().filter_map(|piece| match piece {
        Piece::Variable(variable, place) => Some((variable.to_string(), *place)),
        Piece::Text(_) => None,
    });
    named.collect()
}

#[test]
fn variables_are_found_once() {
    let text = "https://$host/a?rd=${scheme}://$HTTP_HOST$escaped_request_uri&x=$args";
    let wanted = "https://<host>/a?rd=<scheme>://<http_host><escaped_request_uri>&x=<args>";
    assert_eq!(filled(text).unwrap(), wanted);
    assert_eq!(filled("").unwrap(), "");
    assert_eq!(filled("/plain").unwrap(), "/plain");
    assert_eq!(filled("a${literal_dollar}b$host").unwrap(), "a$b<host>");
    assert_eq!(
        filled("$the_real_ip $http_X_Y $arg_q $cookie_s").unwrap(),
        "<remote_addr> <http_x_y> <arg_q> <cookie_s>"
    );
    let uri = Template::parse("/a$uri", None).unwrap();
    assert_eq!(serde_json::to_string(&uri).unwrap(), "\"/a${uri}\"");
    let prefixed = Template::prefixed("/$a", Variable::Path);
    assert_eq!(
        prefixed.fill(|_, text| text.push('!')),
        "/$a!",
        "taken as it stands"
    );
}

#[test]
fn groups_have_numbers_and_names() {
    let groups = Pattern::in_path("^/(.)/(?<Rest>.*)").unwrap();
    let template = Template::parse("$1a${2}$rest$2", Some(&groups)).unwrap();
    assert_eq!(template.source(), "${1}a${2}${2}${2}");
    assert!(template.has_groups());
    let error = |text: &str, groups: Option<&Pattern>| Template::parse(text, groups).unwrap_err();
    assert_eq!(error("$3", Some(&groups)), InvalidTemplate::Group(3));
    assert_eq!(error("$1", None), InvalidTemplate::Group(1));
    assert_eq!(
        error("$rest", None),
        InvalidTemplate::Unknown("rest".to_owned())
    );
}

#[test]
fn what_is_not_known_is_refused() {
    for (text, name) in [
        ("$upstream_addr", "upstream_addr"),
        ("a$hosts/b", "hosts"),
        ("${x y}", "x y"),
        ("$http_", "http_"),
        ("$0", "0"),
    ] {
        assert_eq!(filled(text), Err(InvalidTemplate::Unknown(name.to_owned())));
    }
    for text in ["$", "a$/", "${host", "${}", "$$host"] {
        assert_eq!(filled(text), Err(InvalidTemplate::Dollar), "{text}");
    }
    let named = filled("$upstream_addr").unwrap_err().to_string();
    assert!(
        named.contains("$upstream_addr") && named.contains("$cookie_NAME"),
        "{named}"
    );
    assert!(matches!(filled("a\r\nb"), Err(InvalidTemplate::Illegal(_))));
}

#[test]
fn every_variable_of_a_url_has_its_place() {
    use Place::{Host, HostEnd, Query, Url};
    for (text, wanted) in [
        ("https://new.test$request_uri", &[HostEnd][..]),
        (
            "https://new.test$uri$is_args$args",
            &[HostEnd, HostEnd, HostEnd],
        ),
        ("https://new.test/$1?x=$rest#$1", &[Url, Query, Query]),
        ("https://$1/$2", &[Host, Url]),
        ("https://$1$2", &[Host, HostEnd]),
        ("https://a-$1.example.com/", &[Host]),
        ("https://$host:$server_port$1", &[Host, Host, HostEnd]),
        (
            "$scheme://$http_host/login$is_args$args",
            &[Url, Host, Url, Url],
        ),
        ("/login?next=$request_uri", &[Query]),
        ("$request_uri", &[Url]),
    ] {
        let found: Vec<_> = places(text).into_iter().map(|(_, place)| place).collect();
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn a_url_is_absolute_or_a_path() {
    for text in [
        "https://a.test",
        "HTTP://a.test:80/x?y#z",
        "/",
        "/a%20b",
        "$uri/",
    ] {
        assert!(Template::location(text, None).is_ok(), "{text}");
    }
    for text in [
        "",
        "a.test/x",
        "//a.test/x",
        "ftp://a.test/",
        "$http_referer",
        "$host/x",
        "https://",
        "https:///x",
        "https://user@a.test/",
        "https://a.test/b c",
        "https://a.test/b\\c",
        "https://a.test/\r\nSet-Cookie: a",
    ] {
        let refused = Template::location(text, None);
        assert!(
            matches!(refused, Err(InvalidTemplate::Illegal(_))),
            "{text}"
        );
    }
    let umlaut = Template::location("https://a.test/ä", None).unwrap();
    assert_eq!(umlaut.source(), "https://a.test/%C3%A4");
}

#[test]
fn paths_queries_and_hosts() {
    let path = |text| Template::path(text, None);
    assert_eq!(path("/a{b}/$host").unwrap().source(), "/a%7Bb%7D/${host}");
    for text in ["a", "/a?b", "/a#b", "/a b", ""] {
        assert!(path(text).is_err(), "{text}");
    }
    assert!(Template::query("a=$host&b=?", None).is_ok());
    assert!(Template::query("a#b", None).is_err());
    assert!(Template::host("$host.internal:8080", None).is_ok());
    for text in ["a/b", "a@b", "a b", ""] {
        assert!(Template::host(text, None).is_err(), "{text}");
    }
}
