//! Serves the built page. Its files never change under one name, except `index.html`, which is
//! asked for every time; a path that is no file is one of the page's own views.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use tower_http::services::ServeDir;

/// Scripts and calls only from here; styles may be inline because charts set them.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self' ws:; object-src 'none'; base-uri 'self'; \
    form-action 'self'; frame-ancestors 'none'";

const NOT_BUILT: &str = include_str!("ui/not_built.html");

/// The page's folder, which may come to be later.
#[derive(Debug, Clone)]
pub struct Ui {
    dir: PathBuf,
}

impl Ui {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// A file, or `index.html` for a view.
    pub async fn serve(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let mut response = match self.find(request, &path).await {
            Ok(response) => response,
            Err(problem) => return problem.into_response(),
        };
        dress(response.headers_mut(), &path);
        response
    }

    async fn find(&self, request: Request, path: &str) -> Result<Response, Problem> {
        let is_view = !path.rsplit('/').next().unwrap_or_default().contains('.');
        let is_built = tokio::fs::try_exists(self.dir.join("index.html")).await;
        if !is_built.unwrap_or(false) {
            return match path {
                "/" | "/index.html" => Ok(axum::response::Html(NOT_BUILT).into_response()),
                _ => Err(Problem::not_found(format!("There is no {path}."))),
            };
        }
        let headers = request.headers().clone();
        let method = request.method().clone();
        let response = self.file(request).await?;
        if response.status() != StatusCode::NOT_FOUND {
            return Ok(response);
        }
        if !is_view {
            return Err(Problem::not_found(format!("There is no {path}.")));
        }
        let mut index = Request::new(Body::empty());
        *index.method_mut() = method;
        *index.headers_mut() = headers;
        self.file(index).await
    }

    async fn file(&self, request: Request) -> Result<Response, Problem> {
        let mut files = ServeDir::new(&self.dir)
            .precompressed_br()
            .precompressed_gzip();
        match files.try_call(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(e) => Err(Problem::internal(format_args!(
                "failed to read the page: {e}"
            ))),
        }
    }
}

fn dress(headers: &mut HeaderMap, path: &str) {
    let cache = if path.starts_with("/assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    for (name, value) in [
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(ui: &Ui, path: &str) -> (u16, HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = ui.serve(request).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        (parts.status.as_u16(), parts.headers, text)
    }

    #[tokio::test]
    async fn without_a_built_page_it_says_how_to_build_one() {
        let ui = Ui::new(Path::new("/nowhere/dist"));
        let (status, headers, text) = get(&ui, "/").await;
        assert_eq!(status, 200);
        assert!(
            text.contains("npm") && text.contains("/api/v1/openapi.json"),
            "{text}"
        );
        assert!(
            headers[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("'self'")
        );
        assert_eq!(get(&ui, "/assets/x.js").await.0, 404);
    }

    #[tokio::test]
    async fn files_views_and_what_is_neither() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("assets")).unwrap();
        std::fs::write(dir.path().join("index.html"), "<title>lab</title>").unwrap();
        std::fs::write(dir.path().join("assets/a-1.js"), "1").unwrap();
        let ui = Ui::new(dir.path());
        for view in ["/", "/index.html", "/comptes", "/kafka/topics"] {
            let (status, headers, text) = get(&ui, view).await;
            assert_eq!(
                (status, text.as_str()),
                (200, "<title>lab</title>"),
                "{view}"
            );
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        }
        let (status, headers, text) = get(&ui, "/assets/a-1.js").await;
        assert_eq!((status, text.as_str()), (200, "1"));
        assert!(
            headers[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.contains("javascript"), "{kind}");
        for missing in ["/assets/a-2.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml"] {
            assert_eq!(get(&ui, missing).await.0, 404, "{missing}");
        }
    }
}
