// The notify scripts of the reference text, as they stand, run by the notifier; what they call is
// replaced by recorders in front of $PATH.
#include <cstdlib>

#include "control/vrrp/notifier.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

const std::string data = HEADGATE_SOURCE_ROOT "/tests/e2e/data/";

class ReferenceScripts : public test::LoopTest {
 protected:
  ReferenceScripts() : path_before(std::getenv("PATH")) {
    std::filesystem::create_directory(path("bin"));
    for (const char* name : {"mail", "notify"}) {
      (void)script(std::string("bin/") + name,
                   "{ printf '%s' \"${0##*/}\"; for word; do printf '|%s' \"$word\"; done; echo; }"
                   " >>$dir/calls");
    }
    (void)script("bin/hostname", "echo lb1");
    setenv("PATH", (path("bin") + ":" + path_before).c_str(), 1);
    notifier.set_programs(Programs::prepare(config::Config{}).value());
  }
  ~ReferenceScripts() override { setenv("PATH", path_before.c_str(), 1); }

  void run_all(const config::VrrpNotify& settings) {
    for (const NotifyState state : {NotifyState::backup, NotifyState::master, NotifyState::fault}) {
      Notification notification;
      notification.name = "VI_1";
      notification.state = state;
      notification.settings = settings;
      notifier.notify(notification);
    }
    ASSERT_TRUE(run_until([&] { return notifier.idle(); }));
  }

  std::string path_before;
  Notifier notifier{loop};
};

TEST_F(ReferenceScripts, TheSimpleOneGetsTheStateAsItsOneWord) {
  const std::string command = data + "notify_simple";
  config::VrrpNotify settings;
  settings.master = command + " master";
  settings.backup = command + " backup";
  settings.fault = command + " fault";
  run_all(settings);
  EXPECT_EQ(text("calls"), "notify|backup\nnotify|master\nnotify|fault\n");
  EXPECT_EQ(notifier.counts().run, 3U) << log;
}

TEST_F(ReferenceScripts, TheOneWithOptionsGetsThemAndSendsItsMail) {
  const std::string command = data + "notify_options";
  config::VrrpNotify settings;
  settings.master = command + " -n master -a 172.16.100.1";
  settings.backup = command + " -n backup -a 172.16.100.1 -s no-such-service -m mm";
  settings.fault = command + " --notify fault --address 172.16.100.1";
  run_all(settings);
  EXPECT_EQ(text("calls"),
            "mail|-s|lb1 to be backup: 172.16.100.1 floating|root@localhost\n"
            "mail|-s|lb1 to be master: 172.16.100.1 floating|root@localhost\n"
            "mail|-s|lb1 to be fault: 172.16.100.1 floating|root@localhost\n");
  EXPECT_EQ(notifier.counts().run, 3U) << log;
}

}  // namespace
}  // namespace headgate::control
