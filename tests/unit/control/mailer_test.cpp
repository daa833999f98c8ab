#include "control/mailer.h"

#include <algorithm>

#include "control/mail_text.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/smtp_server.h"

namespace headgate::control {
namespace {

using namespace std::chrono_literals;
using test::SmtpServer;

class Mailing : public test::LoopTest {
 protected:
  static config::Mail settings(const SmtpServer& server) {
    config::Mail mail;
    mail.server = server.address();
    mail.from = "headgate@lb1.example";
    mail.to = {"ops@example.com", "Night Watch <night@example.com>"};
    return mail;
  }
};

TEST_F(Mailing, DeliversEnvelopeHeadersAndText) {
  SmtpServer server;
  Mailer mailer;
  mailer.configure(settings(server));
  mailer.send({"[lb1] VRRP Instance VI_1 - Entering MASTER STATE", "first\n.\n..two dots\nlast"});
  ASSERT_TRUE(run_until([&] { return mailer.counts().sent == 1; })) << log;
  const auto mails = server.mails();
  ASSERT_EQ(mails.size(), 1U);
  EXPECT_EQ(mails[0].commands,
            (std::vector<std::string>{"EHLO " + mail_host(), "MAIL FROM:<headgate@lb1.example>",
                                      "RCPT TO:<ops@example.com>", "RCPT TO:<night@example.com>"}));
  const std::string& data = mails[0].data;
  EXPECT_TRUE(data.starts_with("Date: ")) << data;
  for (const char* header :
       {"\r\nFrom: headgate@lb1.example\r\n",
        "\r\nTo: ops@example.com,\r\n Night Watch <night@example.com>\r\n",
        "\r\nSubject: [lb1] VRRP Instance VI_1 - Entering MASTER STATE\r\n", "\r\nMessage-ID: <"}) {
    EXPECT_NE(data.find(header), std::string::npos) << header << " in " << data;
  }
  EXPECT_TRUE(data.ends_with("\r\n\r\nfirst\r\n..\r\n...two dots\r\nlast\r\n"))
      << "dots are stuffed: " << data;
}

TEST_F(Mailing, KeepsTheOrderOfMails) {
  SmtpServer server;
  Mailer mailer;
  mailer.configure(settings(server));
  for (int i = 0; i < 5; ++i)
    mailer.send({"mail " + std::to_string(i), ""});
  ASSERT_TRUE(run_until([&] { return mailer.idle(); }));
  const auto mails = server.mails();
  ASSERT_EQ(mails.size(), 5U);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NE(mails[i].data.find("Subject: mail " + std::to_string(i)), std::string::npos);
  }
}

TEST_F(Mailing, ReachesTheOthersWhenOneAddressIsRefused) {
  SmtpServer server;
  Mailer mailer;
  config::Mail mail = settings(server);
  mail.to = {"refused@example.com", "ops@example.com"};
  mailer.configure(mail);
  mailer.send({"subject", "text"});
  ASSERT_TRUE(run_until([&] { return mailer.counts().sent == 1; })) << log;
  EXPECT_NE(log.find("550 nobody of that name"), std::string::npos) << log;
  mail.to = {"refused@example.com"};
  mailer.configure(mail);
  mailer.send({"subject", "text"});
  ASSERT_TRUE(run_until([&] { return mailer.counts().failed == 1; })) << log;
}

TEST_F(Mailing, IsNotHeldUpByAServerThatNeverAnswers) {
  SmtpServer server(SmtpServer::Manner::silent);
  const auto begin = std::chrono::steady_clock::now();
  {
    Mailer mailer(3);
    mailer.configure(settings(server));
    mailer.send({"first", ""});
    ASSERT_TRUE(run_until([&] { return server.connections() == 1; }));
    const auto before_sending = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i)
      mailer.send({"more", ""});
    EXPECT_LT(std::chrono::steady_clock::now() - before_sending, 1s);
    EXPECT_EQ(mailer.counts().dropped, 7U) << "three wait, the oldest went";
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "its connect time-out is 30 s";
  EXPECT_NE(log.find("mail: more than 3 wait"), std::string::npos) << log;
  EXPECT_NE(log.find("4 mails were given up"), std::string::npos) << log;
}

TEST_F(Mailing, GivesUpAServerThatNeverAnswersAfterItsTime) {
  SmtpServer silent(SmtpServer::Manner::silent);
  SmtpServer server;
  Mailer mailer;
  config::Mail dead = settings(silent);
  dead.connect_timeout_s = 1;
  mailer.configure(dead);
  mailer.send({"lost", ""});
  ASSERT_TRUE(run_until([&] { return mailer.counts().failed == 1; }));
  mailer.configure(settings(server));
  mailer.send({"arrives", ""});
  ASSERT_TRUE(run_until([&] { return mailer.counts().sent == 1; })) << log;
  EXPECT_NE(log.find("was not sent"), std::string::npos) << log;
}

TEST_F(Mailing, CountsWhatItHasNoServerFor) {
  Mailer mailer;
  mailer.send({"subject", "text"});
  EXPECT_EQ(mailer.counts().dropped, 1U);
  EXPECT_TRUE(mailer.idle());
}

TEST(MailText, EncodesWhatIsNotAsciiAndKeepsHeadersOnTheirLines) {
  EXPECT_EQ(encode_header("plain"), "plain");
  EXPECT_EQ(encode_header("a\r\nBcc: x@y"), "a  Bcc: x@y");
  EXPECT_EQ(encode_header("h\xc3\xa9"), "=?UTF-8?B?aMOp?=");
  std::string longer;
  for (int i = 0; i < 60; ++i)
    longer += "\xc3\xa9";
  const std::string encoded = encode_header(longer);
  EXPECT_EQ(std::ranges::count(encoded, '\n'), 2) << encoded;
  EXPECT_LE(encoded.find("\r\n"), 75U);
}

TEST(MailText, WritesADateAsMailHasIt) {
  config::Mail mail;
  mail.from = "a@b";
  mail.to = {"c@d"};
  const std::string text = mail_text(mail, {"s", ""}, "host", 1700000000, 7);
  EXPECT_TRUE(text.starts_with("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n")) << text;
  EXPECT_NE(text.find("Message-ID: <1700000000."), std::string::npos);
  EXPECT_NE(text.find(".7@host>\r\n"), std::string::npos);
}

TEST(MailText, FindsServersInEveryForm) {
  EXPECT_EQ(smtp_url("mail.example", "me"), "smtp://mail.example:25/me");
  EXPECT_EQ(smtp_url("192.0.2.1:2525", "me"), "smtp://192.0.2.1:2525/me");
  EXPECT_EQ(smtp_url("2001:db8::1", "me"), "smtp://[2001:db8::1]:25/me");
  EXPECT_EQ(smtp_url("[2001:db8::1]:26", "me"), "smtp://[2001:db8::1]:26/me");
  EXPECT_EQ(smtp_url("[2001:db8::1]", "me"), "smtp://[2001:db8::1]:25/me");
}

TEST(MailText, TakesTheAddressOutOfAName) {
  EXPECT_EQ(envelope_address("a@b"), "<a@b>");
  EXPECT_EQ(envelope_address("Some One <a@b>"), "<a@b>");
  EXPECT_EQ(envelope_address("<a@b>"), "<a@b>");
}

}  // namespace
}  // namespace headgate::control
