package ftpd

// splicedEnv makes the test binary do one upload, for strace.
const splicedEnv = "SAMPAN_TEST_UPLOAD"

func uploadOnce() int { return 0 }
