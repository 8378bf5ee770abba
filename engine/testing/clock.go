package time

import (
	"os"
	"strconv"
	"time"
)

// For tests only: engine/build.sh adds this file to a copy of CometBFT's types/time. The wall clock is off by
// COMETBFT_TEST_CLOCK seconds.
var off = seconds(os.Getenv("COMETBFT_TEST_CLOCK"))

func seconds(text string) time.Duration {
	if text == "" {
		return 0
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		panic("COMETBFT_TEST_CLOCK is no number of seconds")
	}
	return time.Duration(count) * time.Second
}

func wallClock() time.Time { return time.Now().Add(off) }
