use proptest::prelude::*;

use super::{Directive, advise, token};

fn simple(name: &str, args: &[&str]) -> Directive {
    Directive {
        name: name.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        block: Vec::new(),
    }
}

#[test]
fn directives_are_read_as_nginx_does() {
    let text = "# comment; {\nProxy_Set_Header X-A \"a; {b}\\\" c\";add_header X-B ${b}c;\n\
        if ($http_user_agent ~* 'bot|\\.x'){ return 403; } rewrite ^/a\\d+$ /b last;";
    let read = token::parse(text).unwrap();
    assert_eq!(
        read,
        [
            simple("proxy_set_header", &["X-A", "a; {b}\" c"]),
            simple("add_header", &["X-B", "${b}c"]),
            Directive {
                block: vec![simple("return", &["403"])],
                ..simple("if", &["($http_user_agent", "~*", "bot|\\.x", ")"])
            },
            simple("rewrite", &["^/a\\d+$", "/b", "last"]),
        ]
    );
    let lua =
        token::parse("access_by_lua_block { if a then b = {'it\"s'} end } deny all;").unwrap();
    assert_eq!(
        lua,
        [simple("access_by_lua_block", &[]), simple("deny", &["all"])]
    );
    for (bad, why) in [
        ("return 403", "semicolon"),
        ("a { b; ", "without its end"),
        ("a { b }", "semicolon"),
        ("} a;", "too many"),
        ("{ a; }", "without a name"),
        ("a 'b;", "quote"),
        (&"a {".repeat(20), "too deep"),
        (&"a;".repeat(40_000), "64 KiB"),
    ] {
        let error = token::parse(bad).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn each_directive_has_its_suggestion() {
    for (text, instead) in [
        (
            "proxy_set_header X-A b;",
            "`higress.io/request-header-control-update: \"X-A b\"`",
        ),
        (
            "proxy_set_header X-A '';",
            "`higress.io/request-header-control-remove: \"X-A\"`",
        ),
        (
            "proxy_set_header Host a.com;",
            "`upstream-vhost: \"a.com\"`",
        ),
        (
            "proxy_set_header Authorization \"Basic c2VjcmV0\";",
            "`higress.io/request-header-control-update: \"Authorization VALUE\"`",
        ),
        (
            "proxy_set_header X-A $remote_user;",
            "X-A cannot have the value \"$remote_user\": only fixed values can be set",
        ),
        (
            "add_header X-Frame-Options DENY always;",
            "`higress.io/response-header-control-add: \"X-Frame-Options DENY\"`",
        ),
        (
            "more_set_headers 'Server: none' -s 404 \"X-B:\";",
            "`higress.io/response-header-control-update: \"Server none\"` and `higress.io/response-header-control-remove: \"X-B\"`",
        ),
        (
            "more_clear_headers Server 'X-Powered-By:';",
            "`higress.io/response-header-control-remove: \"Server,X-Powered-By\"`",
        ),
        (
            "return 301 https://b.com$request_uri;",
            "`permanent-redirect: \"https://b.com\"`",
        ),
        (
            "return https://b.com/c;",
            "`temporal-redirect: \"https://b.com/c\"`",
        ),
        (
            "return 308 https://$host$request_uri;",
            "`ssl-redirect: \"true\"`",
        ),
        (
            "return 307 https://b.com/;",
            "`permanent-redirect: \"https://b.com/\"` and `permanent-redirect-code: \"307\"`",
        ),
        (
            "rewrite ^/old(.*)$ https://b.com/new permanent;",
            "`permanent-redirect: \"https://b.com/new\"`",
        ),
        (
            "rewrite ^/old/(.*)$ /new/$1 break;",
            "`rewrite-target: \"/new/$1\"` on a path with the expression ^/old/(.*)$",
        ),
        ("return 200 ok;", "a backend that answers 200"),
        ("client_max_body_size 8m;", "`proxy-body-size: \"8m\"`"),
        ("access_log off;", "`enable-access-log: \"false\"`"),
    ] {
        let advice = advise(text);
        assert_eq!(advice.instead, [instead], "{text}");
        assert_eq!(advice.restricts, None, "{text}");
    }
}

#[test]
fn what_keeps_somebody_out_is_seen_wherever_it_stands() {
    for (text, restricts, instead) in [
        (
            "deny all;",
            "deny all",
            "`denylist-source-range: \"0.0.0.0/0,::/0\"`",
        ),
        (
            "allow 10.0.0.0/8; deny 10.1.1.1; deny all;",
            "deny 10.1.1.1",
            "`whitelist-source-range: \"10.0.0.0/8\"` and `denylist-source-range: \"10.1.1.1\"`",
        ),
        (
            "deny 192.0.2.1; allow all;",
            "deny 192.0.2.1",
            "`denylist-source-range: \"192.0.2.1\"`",
        ),
        (
            "return 403;",
            "return 403",
            "`denylist-source-range: \"0.0.0.0/0,::/0\"` answers everybody with 403",
        ),
        (
            "return 503 'later';",
            "return 503 later",
            "a backend that answers 503",
        ),
        (
            "auth_basic 'Who?';",
            "auth_basic Who?",
            "`auth-type: basic`, `auth-realm: \"Who?\"` and `auth-secret` with the users",
        ),
    ] {
        for text in [
            text.to_owned(),
            format!("location /a {{ if ($b) {{ {text} }} }}"),
        ] {
            let advice = advise(&text);
            assert_eq!(advice.restricts.as_deref(), Some(restricts), "{text}");
            assert!(
                advice.instead.iter().any(|i| i == instead),
                "{text}: {advice:?}"
            );
        }
    }
    for open in [
        "allow all;",
        "auth_basic off;",
        "return 204;",
        "# deny all;",
        "set $a 'deny all;';",
    ] {
        assert_eq!(advise(open).restricts, None, "{open}");
    }
    assert_eq!(
        advise("deny all").restricts.as_deref(),
        Some("deny"),
        "not to be read"
    );
    assert_eq!(advise("add_header a b").restricts, None);
}

#[test]
fn a_line_break_in_a_quoted_name_stays_out_of_the_advice() {
    let advice = advise("\" \n x_by_lua_block \" a ;");
    assert_eq!(advice.unreadable, None);
    assert_eq!(
        advice.instead,
        ["nothing replaces    x_by_lua_block "],
        "one line"
    );
    let long = advise(&format!("\"{}_by_lua\" ;", "a".repeat(1_000)));
    assert!(long.instead[0].chars().count() < 250, "{long:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let advice = advise(&text);
        prop_assert!(advice.instead.len() <= 12);
    }

    #[test]
    fn text_that_looks_like_nginx_too(words in prop::collection::vec(
        prop::sample::select(vec![
            "deny", "all", "return", "403", "if", "(", ")", "{", "}", ";", "'", "\"", "\\", "$", "#", "\n", " ", "é",
            "more_set_headers", "a:b", "-s", "rewrite", "permanent", "https://$host", "x_by_lua_block",
        ]), 0..60)) {
        let text = words.concat();
        let advice = advise(&text);
        // What is read whole and denies anything is never let pass.
        if let Ok(directives) = token::parse(&text) {
            let denies = directives.iter().any(|directive| directive.name == "deny");
            prop_assert!(!denies || advice.restricts.is_some());
        }
        let again = advise(&words.join(" "));
        prop_assert!(again.instead.iter().all(|line| !line.contains('\n')));
    }
}
