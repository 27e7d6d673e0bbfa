use std::time::Instant;

use super::super::test_server::{Script, TestServer, address_without_server};
use super::*;

const DONE: &str = "data: [DONE]\n\n";

fn delta(content: &str) -> String {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": content } }] });
    format!("data: {chunk}\n\n")
}

fn finish() -> String {
    let chunk = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    format!("data: {chunk}\n\n")
}

fn connect(server: &TestServer) -> OpenAiModel {
    OpenAiOptions::new().model("tiny").connect(&server.url).unwrap()
}

fn ask(model: &mut OpenAiModel) -> (Vec<String>, Result<(), ModelError>) {
    let mut pieces = Vec::new();
    let result = model.generate("Why?", 50, &mut |piece| {
        pieces.push(piece.to_owned());
        ControlFlow::Continue(())
    });
    (pieces, result)
}

fn ask_once(script: Script) -> (Vec<String>, Result<(), ModelError>) {
    ask(&mut connect(&TestServer::start([script])))
}

fn answer(script: Script) -> Vec<String> {
    let (pieces, result) = ask_once(script);
    result.unwrap();
    pieces
}

fn error(script: Script) -> ModelError {
    ask_once(script).1.unwrap_err()
}

#[test]
fn an_answer_is_streamed_in_pieces() {
    let stream = [delta("The"), delta(" sky"), delta("."), finish(), DONE.to_owned()];
    assert_eq!(answer(Script::stream(stream)), ["The", " sky", "."]);
}

#[test]
fn the_request_contains_the_prompt_and_the_options() {
    let server = TestServer::start([Script::stream([DONE])]);
    let mut model = OpenAiOptions::new().model("tiny").api_key(" secret\n").connect(&server.url).unwrap();
    model.generate("Größe \"oder\"\nnicht?", 7, &mut |_| ControlFlow::Continue(())).unwrap();

    let request = server.request();
    assert_eq!(request.line, "POST /v1/chat/completions");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(
        serde_json::from_str::<Value>(&request.body).unwrap(),
        json!({
            "model": "tiny",
            "stream": true,
            "max_tokens": 7,
            "messages": [{ "role": "user", "content": "Größe \"oder\"\nnicht?" }],
        })
    );
}

#[test]
fn the_key_is_not_printed() {
    let options = OpenAiOptions::new().model("tiny").api_key("secret");
    let model = options.connect(&address_without_server()).unwrap();
    assert!(!format!("{model:?}").contains("secret"));
}

#[test]
fn a_key_that_is_invalid_in_a_header_is_an_error() {
    let options = OpenAiOptions::new().model("tiny").api_key("sec\nret");
    let error = ask(&mut options.connect(&address_without_server()).unwrap()).1.unwrap_err();
    assert!(matches!(error, ModelError::Exchange { .. }), "{error}");
    assert!(!error.to_string().contains("ret"), "{error}");
}

#[test]
fn without_a_key_no_authorization_is_sent() {
    let server = TestServer::start([Script::stream([DONE])]);
    let mut model = OpenAiOptions::new().model("tiny").api_key("  ").connect(&server.url).unwrap();
    model.generate("", 7, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(server.request().header("authorization"), None);
}

#[test]
fn the_default_is_the_first_model_of_the_server() {
    let server = TestServer::start([
        Script::json("200 OK", r#"{"object":"list","data":[{"id":"one"},{"id":"two"}]}"#),
        Script::stream([DONE]),
    ]);
    let mut model = OpenAiOptions::new().api_key("secret").connect(&server.url).unwrap();
    assert_eq!(model.name(), "one");
    ask(&mut model).1.unwrap();
    let listing = server.request();
    assert_eq!(listing.line, "GET /v1/models");
    assert_eq!(listing.header("authorization"), Some("Bearer secret"));
    assert!(server.request().body.contains(r#""model":"one""#));
}

#[test]
fn a_server_without_models_is_an_error() {
    for body in [r#"{"data":[]}"#, r#"{"data":null}"#, "{}"] {
        let server = TestServer::start([Script::json("200 OK", body)]);
        let error = OpenAiOptions::new().connect(&server.url).unwrap_err();
        assert!(matches!(error, ModelError::NoModels { .. }), "{error}");
        assert!(error.to_string().contains("--model"), "{error}");
    }
}

#[test]
fn a_list_of_models_that_is_not_json_is_an_error() {
    let server = TestServer::start([Script::response("200 OK", "text/html", "<h1>Hello</h1>")]);
    let error = OpenAiOptions::new().connect(&server.url).unwrap_err();
    assert!(matches!(error, ModelError::BadJson { .. }), "{error}");
    assert!(error.to_string().contains("<h1>Hello</h1>"), "{error}");
}

#[test]
fn all_forms_of_the_address_have_the_same_endpoint() {
    for form in [
        "http://localhost:8080",
        "http://localhost:8080/",
        " http://localhost:8080/v1",
        "http://localhost:8080/v1/",
        "http://localhost:8080/v1/chat/completions",
        "http://localhost:8080/v1/chat/completions/",
    ] {
        assert_eq!(base_url(form).unwrap(), "http://localhost:8080");
    }
    assert_eq!(base_url("http://host/llm/v1").unwrap(), "http://host/llm");
    assert_eq!(base_url("HTTP://[::1]:8080/v1").unwrap(), "HTTP://[::1]:8080");
}

#[test]
fn an_https_address_is_refused_with_a_workaround() {
    let error = OpenAiOptions::new().connect("https://example.com/v1").unwrap_err();
    assert!(matches!(error, ModelError::Https { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("https://example.com/v1") && error.contains("local proxy"), "{error}");
}

#[test]
fn an_invalid_address_is_refused() {
    for url in ["", "localhost:8080", "localhost", "ftp://host", "http://", "http://h/v1?a=b"] {
        let error = OpenAiOptions::new().connect(url).unwrap_err();
        assert!(matches!(error, ModelError::BadUrl { .. }), "{url}: {error}");
        assert!(error.to_string().contains("http://localhost:8080"), "{error}");
    }
}

#[test]
fn a_password_in_the_address_is_not_repeated() {
    let error = OpenAiOptions::new().connect("http://me:secret@host").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_character_split_between_chunks_is_preserved() {
    let stream = [delta("søt 🚲"), finish(), DONE.to_owned()].concat().into_bytes();
    let parts: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(answer(Script::stream(parts)), ["søt 🚲"]);
}

#[test]
fn carriage_returns_comments_and_missing_spaces_are_accepted() {
    let stream = [": keepalive\r\n\r\n".to_owned(), delta("a").replace('\n', "\r\n")];
    let rest = [delta("b").replace("data: ", "data:"), ": keepalive\n\n".to_owned(), DONE.to_owned()];
    assert_eq!(answer(Script::stream(stream.into_iter().chain(rest))), ["a", "b"]);
}

#[test]
fn data_on_several_lines_is_one_chunk() {
    let stream = ["data: {\"choices\": [\ndata: {\"delta\": {\"content\": \"a\"}}]}\n\n", DONE];
    assert_eq!(answer(Script::stream(stream)), ["a"]);
}

#[test]
fn chunks_without_text_are_skipped() {
    let stream = [
        r#"{"choices":[{"delta":{"role":"assistant"}}]}"#,
        r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#,
        r#"{"choices":[{"delta":null,"finish_reason":"length"}]}"#,
        r#"{"choices":[{"finish_reason":"length"}]}"#,
        r#"{"choices":[],"usage":{"total_tokens":3}}"#,
        r#"{"choices":null}"#,
        r#"{"usage":{"total_tokens":3}}"#,
        "[DONE]",
    ];
    assert_eq!(answer(Script::stream(stream.map(|data| format!("data: {data}\n\n")))), ["a"]);
}

#[test]
fn a_finish_reason_completes_an_answer_without_done() {
    assert_eq!(answer(Script::stream([delta("a"), finish()])), ["a"]);
    assert_eq!(answer(Script::unfinished_stream([delta("a"), finish()])), ["a"]);
}

#[test]
fn nothing_is_read_after_done() {
    let stream = [delta("a"), DONE.to_owned(), delta("b")];
    assert_eq!(answer(Script::unfinished_stream(stream).then_hang()), ["a"]);
}

#[test]
fn an_error_in_the_stream_is_reported() {
    for data in [
        r#"data: {"error":{"message":"out of memory","code":500}}"#,
        r#"data: {"error":"out of memory"}"#,
        r#"error: {"code":500,"message":"out of memory"}"#,
        "event: error\ndata: out of memory",
    ] {
        let (pieces, result) = ask_once(Script::stream([delta("a"), format!("{data}\n\n"), DONE.to_owned()]));
        assert_eq!(pieces, ["a"]);
        let error = result.unwrap_err();
        assert!(matches!(error, ModelError::Server { .. }), "{error}");
        assert!(error.to_string().contains("out of memory"), "{error}");
    }
}

#[test]
fn an_error_status_is_reported_with_its_reason() {
    for (status, body, shown) in [
        ("404 Not Found", r#"{"error":{"message":"no model 'tiny'"}}"#, "no model 'tiny'"),
        ("400 Bad Request", r#"{"error":"bad prompt"}"#, "bad prompt"),
        ("422 Unprocessable Entity", r#"{"detail":"bad field"}"#, "bad field"),
        ("400 Bad Request", r#"{"object":"error","message":"too long"}"#, "too long"),
        ("500 Internal Server Error", r#"{"error":{"code":9}}"#, r#"{"code":9}"#),
        ("502 Bad Gateway", "<h1>Bad\x1b gateway</h1>", "<h1>Bad  gateway</h1>"),
        ("503 Service Unavailable", "", "Service Unavailable"),
        ("307 Temporary Redirect", "", "Temporary Redirect"),
    ] {
        let server = TestServer::start([Script::json(status, body)]);
        let error = ask(&mut connect(&server)).1.unwrap_err().to_string();
        let number = &status[..3];
        let url = format!("{}/v1/chat/completions", server.url);
        assert_eq!(error, format!("{url} answered with status {number}: {shown}"));
    }
}

#[test]
fn an_error_status_is_reported_even_if_the_body_is_cut() {
    let error = error(Script::raw("HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nsho"));
    assert!(matches!(error, ModelError::Status { status: 500, .. }), "{error}");
}

#[test]
fn a_long_error_body_is_truncated() {
    let error = error(Script::json("500 Oh", &"é".repeat(100_000))).to_string();
    assert!(error.len() < 600 && error.ends_with("é..."), "{error}");
}

#[test]
fn an_answer_that_is_no_event_stream_is_an_error() {
    let failure = error(Script::response("200 OK", "text/html", "<html>Welcome</html>"));
    assert!(matches!(failure, ModelError::NotAStream { .. }), "{failure}");
    let failure = failure.to_string();
    assert!(failure.contains("text/html") && failure.contains("Welcome"), "{failure}");

    let failure = error(Script::json("200 OK", r#"{"error":{"message":"busy"}}"#));
    assert!(matches!(failure, ModelError::Server { .. }), "{failure}");
    assert!(failure.to_string().contains("busy"), "{failure}");
}

#[test]
fn a_stream_without_content_type_is_read() {
    let response = format!("HTTP/1.1 200 OK\r\n\r\n{}{DONE}", delta("a"));
    assert_eq!(answer(Script::raw(response)), ["a"]);
}

#[test]
fn an_event_that_is_not_json_is_an_error() {
    let (pieces, result) = ask_once(Script::stream([delta("a").as_str(), "data: {oops\n\n"]));
    assert_eq!(pieces, ["a"]);
    let error = result.unwrap_err();
    assert!(matches!(error, ModelError::BadJson { .. }), "{error}");
    assert!(error.to_string().contains("{oops"), "{error}");
}

#[test]
fn unexpected_json_is_an_error() {
    for data in ["[1]", "7", r#"{"choices":7}"#, r#"{"choices":[{"delta":{"content":7}}]}"#] {
        let error = error(Script::stream([format!("data: {data}\n\n")]));
        assert!(matches!(error, ModelError::BadJson { .. }), "{data}: {error}");
    }
}

#[test]
fn an_incomplete_answer_is_an_error() {
    for script in [
        Script::stream([delta("a"), delta("b")]),
        Script::stream([delta("a"), delta("b"), "data: {\"choi".to_owned()]),
        Script::unfinished_stream([delta("a"), delta("b")]),
        Script::raw(format!("HTTP/1.1 200 OK\r\n\r\n{}{}", delta("a"), delta("b"))),
    ] {
        let (pieces, result) = ask_once(script);
        assert_eq!(pieces, ["a", "b"]);
        let error = result.unwrap_err();
        assert!(matches!(error, ModelError::Cut { pieces: 2, .. }), "{error}");
        assert!(error.to_string().contains("cut after 2 pieces"), "{error}");
    }
}

#[test]
fn a_missing_response_is_an_error() {
    for bytes in ["", "HTTP/1.1 200", "nonsense\r\n\r\n"] {
        let error = error(Script::raw(bytes));
        assert!(matches!(error, ModelError::Exchange { .. } | ModelError::Cut { .. }), "{bytes:?}: {error}");
        assert!(error.to_string().contains("http://127.0.0.1:"), "{error}");
    }
}

#[test]
fn an_unreachable_server_is_an_error() {
    let url = address_without_server();
    let error = OpenAiOptions::new().connect(&url).unwrap_err();
    assert!(matches!(error, ModelError::Unreachable { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(&url) && error.contains("is the model server running"), "{error}");
}

#[test]
fn a_hanging_server_is_abandoned_after_the_idle_timeout() {
    let limit = Duration::from_millis(150);
    for script in [
        Script::raw("").then_hang(),
        Script::raw("HTTP/1.1 200 OK\r\n").then_hang(),
        Script::unfinished_stream([delta("a")]).then_hang(),
    ] {
        let server = TestServer::start([script]);
        let mut model = OpenAiOptions::new().model("tiny").idle_timeout(limit).connect(&server.url).unwrap();
        let start = Instant::now();
        let error = ask(&mut model).1.unwrap_err();
        assert!(matches!(error, ModelError::Silent { .. }), "{error}");
        assert!(error.to_string().contains("sent nothing for 150ms"), "{error}");
        assert!(start.elapsed() >= limit);
        server.wait_for_end_of_script();
    }
}

#[test]
fn an_endless_line_is_an_error() {
    let endless = Script::unfinished_stream(["data: "]).then_repeat("x".repeat(64 * 1024));
    let error = error(endless);
    assert!(matches!(error, ModelError::TooLong { limit: EVENT_LIMIT, .. }), "{error}");
    assert!(error.to_string().contains("1048576 bytes"), "{error}");
}

#[test]
fn an_endless_body_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";
    let error = error(Script::raw(head).then_repeat("x".repeat(64 * 1024)));
    assert!(matches!(error, ModelError::NotAStream { .. }), "{error}");
}

#[test]
fn an_endless_answer_stops_after_max_tokens() {
    let (pieces, result) = ask_once(Script::unfinished_stream([""; 0]).then_repeat(delta("a")));
    result.unwrap();
    assert_eq!(pieces.len(), 50);
}

#[test]
fn the_connection_is_closed_when_emit_breaks() {
    let endless = Script::unfinished_stream([delta("a")]).then_repeat(delta("b"));
    let server = TestServer::start([endless]);
    let mut pieces = Vec::new();
    connect(&server)
        .generate("Why?", 1_000_000, &mut |piece| {
            pieces.push(piece.to_owned());
            if pieces.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(pieces, ["a", "b", "b"]);
    server.wait_for_end_of_script();
}

#[test]
fn zero_tokens_send_no_request() {
    let mut model = OpenAiOptions::new().model("tiny").connect(&address_without_server()).unwrap();
    model.generate("Why?", 0, &mut |_| panic!("no piece was requested")).unwrap();
}

#[test]
fn a_model_can_be_used_after_an_error() {
    let server = TestServer::start([Script::stream([delta("a")]), Script::stream([delta("b"), DONE.to_owned()])]);
    let mut model = connect(&server);
    ask(&mut model).1.unwrap_err();
    let (pieces, result) = ask(&mut model);
    result.unwrap();
    assert_eq!(pieces, ["b"]);
}
