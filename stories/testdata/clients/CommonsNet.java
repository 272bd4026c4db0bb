import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.apache.commons.net.ftp.FTP;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPFile;
import org.apache.commons.net.ftp.FTPReply;
import org.apache.commons.net.ftp.FTPSClient;

/**
 * Apache Commons Net: CommonsNet SECURITY MODE HOST PORT USER PASSWORD CA, and on its input one step a line: OP, LOCAL,
 * REMOTE and TO with tabs between them.
 */
public class CommonsNet {
	private final FTPClient ftp;

	private CommonsNet(FTPClient ftp) {
		this.ftp = ftp;
	}

	public static void main(String[] args) throws Exception {
		FTPClient ftp = client(args[0], args[6]);
		CommonsNet c = new CommonsNet(ftp);
		ftp.setAutodetectUTF8(true);
		ftp.connect(args[2], Integer.parseInt(args[3]));
		c.must(FTPReply.isPositiveCompletion(ftp.getReplyCode()), "connecting");
		c.must(ftp.login(args[4], args[5]), "login");
		if (ftp instanceof FTPSClient) {
			((FTPSClient) ftp).execPBSZ(0);
			((FTPSClient) ftp).execPROT("P");
		}
		if (args[1].equals("passive")) {
			ftp.enterLocalPassiveMode();
		} else {
			ftp.enterLocalActiveMode();
		}
		ftp.setFileType(FTP.BINARY_FILE_TYPE);
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line = in.readLine(); line != null; line = in.readLine()) {
			String[] s = line.split("\t", -1);
			c.step(s[0], s[1], s[2], s[3]);
		}
		ftp.logout();
		ftp.disconnect();
	}

	/** The certificate is verified, and so is the name in it. */
	private static FTPClient client(String security, String ca) throws Exception {
		if (security.equals("plain")) {
			return new FTPClient();
		}
		KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
		trusted.load(null, null);
		try (InputStream pem = new FileInputStream(ca)) {
			trusted.setCertificateEntry("server", CertificateFactory.getInstance("X.509").generateCertificate(pem));
		}
		TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		trust.init(trusted);
		SSLContext context = SSLContext.getInstance("TLS");
		context.init(null, trust.getTrustManagers(), null);
		FTPSClient ftps = new FTPSClient(security.equals("implicit"), context);
		ftps.setTrustManager(null);
		ftps.setEndpointCheckingEnabled(true);
		return ftps;
	}

	private void must(boolean ok, String what) throws IOException {
		if (!ok) {
			throw new IOException(what + ": " + ftp.getReplyString());
		}
	}

	private void step(String op, String local, String remote, String to) throws IOException {
		switch (op) {
		case "list":
			PrintStream out = new PrintStream(System.out, true, "UTF-8");
			for (FTPFile f : ftp.mlistDir(remote)) {
				out.println(f.getName());
			}
			must(ftp.listFiles(remote).length > 0, "LIST");
			break;
		case "put":
			put(local, remote);
			break;
		case "resume-put":
			long at = Long.parseLong(ftp.getSize(remote));
			ftp.setRestartOffset(at);
			try (RandomAccessFile f = new RandomAccessFile(local, "r")) {
				f.seek(at);
				must(ftp.storeFile(remote, new FileInputStream(f.getFD())), op);
			}
			break;
		case "get":
			get(local, remote, false);
			break;
		case "resume-get":
			ftp.setRestartOffset(new java.io.File(local).length());
			get(local, remote, true);
			break;
		case "put-text":
			ftp.setFileType(FTP.ASCII_FILE_TYPE);
			put(local, remote);
			ftp.setFileType(FTP.BINARY_FILE_TYPE);
			break;
		case "get-text":
			ftp.setFileType(FTP.ASCII_FILE_TYPE);
			get(local, remote, false);
			ftp.setFileType(FTP.BINARY_FILE_TYPE);
			break;
		case "abort":
			InputStream data = ftp.retrieveFileStream(remote);
			must(data != null && data.read() >= 0, op);
			ftp.abort(); // false, for the first of two replies tells that the transfer is over: 426
			data.close();
			must(ftp.completePendingCommand(), op);
			break;
		case "rename":
			must(ftp.rename(remote, to), op);
			break;
		case "delete":
			must(ftp.deleteFile(remote), op);
			break;
		case "mkdir":
			must(ftp.makeDirectory(remote), op);
			break;
		case "rmdir":
			must(ftp.removeDirectory(remote), op);
			break;
		default:
			throw new IOException("unknown step " + op);
		}
	}

	private void put(String local, String remote) throws IOException {
		try (InputStream f = new FileInputStream(local)) {
			must(ftp.storeFile(remote, f), "put");
		}
	}

	private void get(String local, String remote, boolean append) throws IOException {
		try (OutputStream f = new FileOutputStream(local, append)) {
			must(ftp.retrieveFile(remote, f), "get");
		}
	}
}
