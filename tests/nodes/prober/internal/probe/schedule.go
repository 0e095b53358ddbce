package probe

import (
	"context"
	"hash/fnv"
	"time"
)

// every calls fire with the moment for which the call was due, once a period, until the context ends.
// The schedule does not drift, and what a standstill made impossible is not made up for in a burst:
// the first call afterwards is late, the others that were due are left out.
func every(ctx context.Context, first time.Time, period time.Duration, fire func(due time.Time)) {
	due := first
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		fire(due)
		due = next(due, time.Now(), period)
		timer.Reset(time.Until(due))
	}
}

// next is the first moment of the schedule after both due and now.
func next(due, now time.Time, period time.Duration) time.Time {
	missed := max(0, now.Sub(due)) / period
	return due.Add((missed + 1) * period)
}

// firstDue is the next moment after now that is phase after a whole number of periods since 1970.
func firstDue(now time.Time, phase, period time.Duration) time.Time {
	since := time.Duration(now.UnixNano()) % period
	return now.Add((phase - since + period) % period)
}

// phase spreads the probers' schedules over the period. All targets of one prober are due together:
// to wake up once for all of them costs a fraction of waking up for each.
func phase(from string, period time.Duration) time.Duration {
	hash := fnv.New32a()
	hash.Write([]byte(from))
	return time.Duration(hash.Sum32()) % period
}
