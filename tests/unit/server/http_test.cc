#include "server/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(HttpDate, IsTheFormOfRfc9110) {
  EXPECT_EQ(HttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // the RFC's own example
}

TEST(HttpRequestField, IsFoundInAnyCase) {
  HttpRequest request;
  request.fields = {{"Authorization", "Bearer a"}, {"X", "1"}};
  EXPECT_EQ(request.Field("authorization"), "Bearer a");
  EXPECT_EQ(request.Field("AUTHORIZATION"), "Bearer a");
  EXPECT_EQ(request.Field("Authorizatio"), "");
}

TEST(FormatHead, OfAWholeAnswerHasItsLength) {
  const std::string head =
      FormatHead({.status = 429, .fields = {{"Retry-After", "1"}}}, 5, {.request_id = "req-1"});
  EXPECT_THAT(head, testing::StartsWith("HTTP/1.1 429 Too Many Requests\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nX-Request-Id: req-1\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nRetry-After: 1\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Length: 5\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("chunked")));
  EXPECT_THAT(head, Not(HasSubstr("Connection")));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
}

TEST(FormatHead, OfAStreamIsChunkedButForOldClients) {
  EXPECT_THAT(FormatHead({}, std::nullopt, {}), HasSubstr("Transfer-Encoding: chunked\r\n"));
  const std::string old = FormatHead({}, std::nullopt, {.http10 = true, .keep_alive = false});
  EXPECT_THAT(old, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(old, HasSubstr("Connection: close\r\n"));
}

TEST(FormatHead, NoContentHasNoLength) {
  EXPECT_THAT(FormatHead({.status = 204, .content_type = ""}, 0, {}), Not(HasSubstr("Content-")));
}

TEST(FormatChunk, BeginsWithItsLengthInHex) {
  EXPECT_EQ(FormatChunk(std::string(17, 'a')), "11\r\naaaaaaaaaaaaaaaaa\r\n");
}

TEST(ReadyReply, IsOnePart) {
  const auto reply = ReadyReply({.status = 404}, "body", "nothing there");
  int woken = 0;
  reply->OnReady([&woken] { ++woken; });
  EXPECT_EQ(woken, 1);
  const auto part = reply->Pull();
  ASSERT_TRUE(part);
  EXPECT_EQ(part->head->status, 404);
  EXPECT_EQ(part->body, "body");
  EXPECT_TRUE(part->last);
  EXPECT_FALSE(reply->Pull());
  EXPECT_EQ(reply->Summary(), "nothing there");
}

}  // namespace
}  // namespace tern
