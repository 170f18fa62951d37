// What the server answers before its model is loaded, who may ask, and from where.
#include "server/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tern {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

ApiKeys Keys(std::vector<std::string> keys) { return *ApiKeys::Load(std::move(keys), ""); }

// Nothing here takes a worker: the answer is there at once.
HttpPart Ask(Api& api, const std::string& method, const std::string& path,
             std::vector<std::pair<std::string, std::string>> fields = {}) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.fields = std::move(fields);
  const auto reply = api.Handle(std::move(request));
  reply->OnReady([] {});
  auto part = reply->Pull();
  EXPECT_TRUE(part && part->last);
  return part ? *part : HttpPart{};
}

TEST(Api, WhileTheModelLoadsRequestsAreToldToComeBack) {
  Api api({}, Keys({}));
  for (const char* path : {"/health", "/ready", "/v1/models", "/props", "/slots"}) {
    const HttpPart part = Ask(api, "GET", path);
    EXPECT_EQ(part.head->status, 503) << path;
    EXPECT_THAT(part.head->fields, Contains(Pair("Retry-After", "1")));
    EXPECT_EQ(nlohmann::json::parse(part.body)["error"]["message"], "Loading model");
  }
  EXPECT_EQ(Ask(api, "POST", "/v1/chat/completions").head->status, 503);
  EXPECT_EQ(Ask(api, "GET", "/").head->status, 200);
  EXPECT_EQ(Ask(api, "GET", "/nothing").head->status, 404);
  EXPECT_EQ(Ask(api, "GET", "/v1/chat/completions").head->status, 405);
  const HttpPart metrics = Ask(api, "GET", "/metrics");
  EXPECT_EQ(metrics.head->status, 200);
  EXPECT_THAT(metrics.body, HasSubstr("\ntern_ready 0\n"));
}

TEST(Api, WithoutAKeyNothingIsSaidOfTheModel) {
  Api api({}, Keys({"k"}));
  EXPECT_EQ(Ask(api, "GET", "/v1/models").head->status, 401);
  EXPECT_EQ(Ask(api, "GET", "/metrics").head->status, 401);
  EXPECT_EQ(Ask(api, "POST", "/tokenize").head->status, 401);
  EXPECT_EQ(Ask(api, "GET", "/v1/models", {{"Authorization", "Bearer k"}}).head->status, 503);
  EXPECT_EQ(Ask(api, "GET", "/health").head->status, 503);
}

TEST(Api, PagesFromElsewhereMayAskOnlyWhenAllowed) {
  Api closed({}, Keys({})), one({.cors_origin = "http://a"}, Keys({})),
      any({.cors_origin = "*"}, Keys({}));
  const auto allowed = [](Api& api, const std::string& origin) -> std::string {
    const HttpPart part = Ask(api, "GET", "/metrics", {{"Origin", origin}});
    for (const auto& [name, value] : part.head->fields)
      if (name == "Access-Control-Allow-Origin") return value;
    return "";
  };
  EXPECT_EQ(allowed(closed, "http://a"), "");
  EXPECT_EQ(allowed(one, "http://a"), "http://a");
  EXPECT_EQ(allowed(one, "http://b"), "");
  EXPECT_EQ(allowed(any, "http://b"), "*");
  EXPECT_EQ(Ask(one, "OPTIONS", "/v1/models", {{"Origin", "http://a"}}).head->status, 204);
  EXPECT_EQ(Ask(one, "OPTIONS", "/v1/models", {{"Origin", "http://b"}}).head->status, 405);
}

}  // namespace
}  // namespace tern
