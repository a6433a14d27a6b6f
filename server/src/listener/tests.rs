use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::config::TlsSettings;

const PATIENCE: Duration = Duration::from_secs(10);

async fn listener(limit: usize, patience: Patience) -> (Listener, SocketAddr) {
    let sockets = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let listener = Listener::new(sockets, limit, patience);
    let address = listener.address().unwrap();
    (listener, address)
}

fn greeting(bytes: usize, time: Duration) -> Patience {
    Patience { time, greeting: Some(bytes) }
}

async fn connect(listener: &mut Listener, address: SocketAddr) -> (TcpStream, Connection) {
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), accepted)
}

/// Whether the other side closes a connection, within the patience of the test.
async fn is_closed(client: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, client.read(&mut [0])).await.unwrap();
    matches!(read, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_silent_connection_ends_and_one_that_has_spoken_stays() {
    let (mut listener, address) = listener(4, greeting(3, Duration::from_millis(100))).await;
    let (mut spoken, mut of_spoken) = connect(&mut listener, address).await;
    let (_silent, mut of_silent) = connect(&mut listener, address).await;
    spoken.write_all(b"abc").await.unwrap();
    of_spoken.read_exact(&mut [0; 3]).await.unwrap();

    let error = timeout(PATIENCE, of_silent.read(&mut [0])).await.unwrap().unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    spoken.write_all(b"d").await.unwrap();
    assert_eq!(of_spoken.read(&mut [0; 4]).await.unwrap(), 1);
}

#[tokio::test]
async fn at_the_limit_the_oldest_silent_connection_makes_room() {
    let (mut listener, address) = listener(2, greeting(1, PATIENCE * 6)).await;
    let (mut spoken, mut of_spoken) = connect(&mut listener, address).await;
    spoken.write_all(b"a").await.unwrap();
    of_spoken.read_exact(&mut [0]).await.unwrap();
    let (mut silent, mut of_silent) = connect(&mut listener, address).await;
    // As the server of a connection does: it drops it at the first error.
    let served = async move { drop((of_silent.read(&mut [0]).await.unwrap_err(), of_silent)) };

    let ((), (_third, of_third)) = tokio::join!(served, connect(&mut listener, address));

    assert!(is_closed(&mut silent).await);
    assert_eq!((listener.counts().open(), listener.counts().refused()), (2, 0));
    drop(of_third);
}

#[tokio::test]
async fn without_a_silent_connection_a_new_one_is_refused() {
    let (mut listener, address) = listener(1, greeting(1, PATIENCE * 6)).await;
    let (mut spoken, mut of_spoken) = connect(&mut listener, address).await;
    spoken.write_all(b"a").await.unwrap();
    of_spoken.read_exact(&mut [0]).await.unwrap();
    let mut refused = TcpStream::connect(address).await.unwrap();

    let closed = tokio::select! {
        closed = is_closed(&mut refused) => closed,
        _ = listener.accept() => false,
    };

    assert!(closed);
    assert_eq!((listener.counts().open(), listener.counts().refused()), (1, 1));
}

#[tokio::test]
async fn a_name_is_bound_at_all_its_addresses_with_one_port() {
    let sockets = Listener::bind(&"localhost:0".parse().unwrap()).await.unwrap();
    let ports: std::collections::BTreeSet<u16> =
        sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    assert_eq!(ports.len(), 1);
    let mut listener = Listener::new(sockets, 8, greeting(1, PATIENCE));
    let addresses: Vec<_> =
        listener.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    for address in addresses {
        let (client, accepted) = connect(&mut listener, address).await;
        assert_eq!(accepted.peer().address, client.local_addr().unwrap());
    }
    let unknown = Listener::bind(&"no-such-host.invalid:0".parse().unwrap()).await;
    assert!(unknown.is_err());
}

/// A listener that accepts TLS only.
async fn secure_listener(patience: Patience) -> (Listener, SocketAddr) {
    let dir = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let settings = TlsSettings { certificate: Some(certificate), key: Some(key), client_ca: None };
    let tls = Tls::load(&settings).await.unwrap();
    let (listener, address) = listener(4, patience).await;
    (listener.with_tls(tls.as_ref(), Protocol::Grpc), address)
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed_while_the_server_wants_to_write() {
    let (mut listener, address) = secure_listener(greeting(24, Duration::from_millis(100))).await;
    let (mut slow, mut of_slow) = connect(&mut listener, address).await;
    // The beginning of a record.
    slow.write_all(&[0x16, 3, 1]).await.unwrap();

    let error = timeout(PATIENCE, of_slow.write_all(b"settings")).await.unwrap().unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_handshake_makes_room_for_another_connection() {
    let (listener, address) = secure_listener(greeting(24, PATIENCE * 6)).await;
    let mut listener =
        Listener { gate: Gate { slots: Arc::new(Semaphore::new(1)), ..listener.gate }, ..listener };
    let (_first, mut of_first) = connect(&mut listener, address).await;
    let served = async move {
        let ended = timeout(PATIENCE, of_first.flush()).await.unwrap();
        drop((ended.unwrap_err(), of_first));
    };

    let ((), (second, of_second)) = tokio::join!(served, connect(&mut listener, address));

    assert_eq!(of_second.peer().address, second.local_addr().unwrap());
}

#[tokio::test]
async fn a_handshake_that_is_too_long_is_refused() {
    let (mut listener, address) = secure_listener(greeting(24, PATIENCE * 6)).await;
    let (mut wordy, mut of_wordy) = connect(&mut listener, address).await;
    // A hello of 64 KiB, in records of 16 KiB.
    let mut record = vec![0x16, 3, 1, 0x40, 0];
    record.extend([1, 0, 0xff, 0xf0]);
    record.resize(5 + 0x4000, 0);
    let writing = async {
        for _ in 0..4 {
            wordy.write_all(&record).await.ok();
            record[5..9].fill(0);
        }
    };

    let mut byte = [0];
    let (read, ()) = tokio::join!(timeout(PATIENCE, of_wordy.read(&mut byte)), writing);

    let error = read.unwrap().unwrap_err().to_string();
    assert!(error.contains("the handshake is too long"), "{error}");
}
