// A real program that does not do its work: as a service it is broken, asked anything else it is what it was.
//
// The real one lies behind this in the same file, and its length, in 8 bytes, at the end of it. How it is broken is
// said at the build: go build -ldflags "-X main.how=hangs".
package main

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var how string

const memfdCreate = 319 // of amd64, which the hosts of a lab are

func main() {
	// systemd says so to what it starts itself: no trial and no question has it.
	if os.Getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid()) {
		fmt.Fprintf(os.Stderr, "broken on purpose: %s\n", how)
		broken()
		os.Exit(3)
	}
	fmt.Fprintln(os.Stderr, real())
	os.Exit(3)
}

func broken() {
	switch how {
	case "hangs":
		time.Sleep(24 * time.Hour)
	case "serves nothing":
		started()
		refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "[-]poststarthook/broken-on-purpose failed", http.StatusInternalServerError)
		})
		server := &http.Server{Addr: net.JoinHostPort(flag("bind-address"), flag("secure-port")), Handler: refuse,
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
		fmt.Fprintln(os.Stderr, server.ListenAndServeTLS(flag("tls-cert-file"), flag("tls-private-key-file")))
	case "never Ready":
		well := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
		fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:10248", well))
	}
}

// started tells systemd that the service has come up.
func started() {
	if to, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		to.Write([]byte("READY=1"))
		to.Close()
	}
}

func flag(name string) string {
	for _, word := range os.Args[1:] {
		if value, found := strings.CutPrefix(word, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// real becomes the real program; it returns only what went wrong.
func real() error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	whole, err := self.Seek(-8, io.SeekEnd)
	if err != nil {
		return err
	}
	var length uint64
	if err := binary.Read(self, binary.LittleEndian, &length); err != nil {
		return err
	}
	name := [...]byte{'r', 'e', 'a', 'l', 0}
	fd, _, errno := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		return errno
	}
	into := os.NewFile(fd, "real")
	if _, err := io.Copy(into, io.NewSectionReader(self, whole-int64(length), int64(length))); err != nil {
		return err
	}
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), os.Args, os.Environ())
}
